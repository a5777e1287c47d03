"""Sentences of reviews, verbatim, that reasons may quote: a few an item, each with when it was written and by whom."""

from bisect import insort
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Self

import numpy as np
import pyarrow as pa

from llmrec.features.arrays import Floats32, Ints
from llmrec.features.asof.ids import Ids
from llmrec.files import map_arrow, write_arrow
from llmrec.reading.private import holds_private
from llmrec.reasons import Because, ItemReasons, sentences
from llmrec.reasons.statements import MOST, by_kind
from llmrec.schema import Column as C
from llmrec.schema import id_hash
from llmrec.search.reviews import reviews_with_vectors
from llmrec.storage import Artifact, Storage
from llmrec.words import terms

#: A quoted sentence has so many words at least and so many characters at most.
LEAST_WORDS, MOST_CHARACTERS = 4, 200
_SCHEMA = pa.schema([("item", pa.int64()), ("time", pa.int64()), ("user", pa.uint64()), ("text", pa.large_string())])
_COLUMNS = (C.USER_ID, C.TIMESTAMP, C.TEXT)


@dataclass(frozen=True)
class Quotes:
    """In order of items: row of the item, ms UTC, hash of who wrote it (`schema.id_hash`), the sentence."""

    table: pa.Table

    def save(self, uri: str) -> None:
        """Write one Arrow file."""
        write_arrow(uri, self.table)

    @classmethod
    def load(cls, uri: str) -> Self:
        """What `save` wrote, mapped."""
        return cls(map_arrow(uri))

    @cached_property
    def _items(self) -> Ints:
        return np.asarray(self.table["item"].to_numpy(), np.int64)

    def best(self, row: int, before: int, wanted: frozenset[str], but: str | None = None) -> str | None:
        """A sentence on the item at `row`, of a review before a time (ms) that the user `but` did not write.

        The one that holds most of the words `wanted`; of those that hold as many the most typical of the item.
        """
        own = None if but is None else int(id_hash([but])[0])
        start, end = np.searchsorted(self._items, [row, row + 1]).tolist()
        found = [said["text"] for said in self.table.slice(start, end - start).to_pylist()
                 if said["time"] < before and said["user"] != own]  # fmt: skip
        return max(found, key=lambda text: len(wanted & set(terms(text))), default=None)


def build_quotes(
    most: int, storage: Storage, corpus: Artifact, embeddings: Artifact | None, item_ids: Ids
) -> Quotes | None:
    """At most `most` sentences an item, each of another review; None where none are wanted.

    The reviews are those nearest to the mean of the item's reviews' vectors, nearest first; without vectors the last.
    """
    if not most:
        return None
    kept: list[list[tuple[float, int, int, str]]] = [[] for _ in range(len(item_ids))]
    means = None if embeddings is None else _means(storage, corpus, embeddings, item_ids)
    for batch, rows, vectors in reviews_with_vectors(storage, corpus, embeddings, item_ids, _COLUMNS):
        times = batch[C.TIMESTAMP].to_numpy()
        worth = times.astype(np.float64) if means is None else (vectors * means[rows]).sum(axis=1)
        users = id_hash(batch[C.USER_ID].to_pylist())
        for place, text in enumerate(batch[C.TEXT].to_pylist()):
            mine, less = kept[int(rows[place])], -float(worth[place])
            if not rows[place] or (len(mine) == most and less > mine[-1][0]):
                continue  # whether it says something takes longest to know
            said = _sentence(text or "")
            if said is not None:
                insort(mine, (less, int(times[place]), int(users[place]), said))
                del mine[most:]
    flat = [(row, *said[1:]) for row, mine in enumerate(kept) for said in mine]
    columns = zip(*flat, strict=True) if flat else [()] * len(_SCHEMA)
    return Quotes(pa.table([pa.array(c, t) for c, t in zip(columns, _SCHEMA.types, strict=True)], schema=_SCHEMA))


def _sentence(text: str) -> str | None:
    """The first that says something, is not long, and names nobody and no address."""
    fit = (s for s in sentences(text) if len(s) <= MOST_CHARACTERS and len(terms(s)) >= LEAST_WORDS)
    return next((s for s in fit if not holds_private(s)), None)


def _means(storage: Storage, corpus: Artifact, embeddings: Artifact, item_ids: Ids) -> Floats32:
    """(n, dim) sums of the vectors of items' reviews: they point where the means do, which is all that is asked."""
    sums = np.zeros((len(item_ids), int(embeddings.manifest.info["dim"])), np.float32)
    for _, rows, vectors in reviews_with_vectors(storage, corpus, embeddings, item_ids, ()):
        np.add.at(sums, rows, vectors)
    return sums


def with_review(found: ItemReasons, sentence: str | None) -> ItemReasons:
    """The reasons, what is written of the item being told by a sentence of a review, where it speaks for the item."""
    effect = by_kind(found.contributions).get("words", 0.0)
    if sentence is None or effect <= 0:
        return found
    told = Because("reviewed", f"a review of it says “{sentence}”", effect, quote=sentence)
    others = (b for b in found.because if b.kind not in ("words", "nothing"))
    ordered = sorted((*others, told), key=lambda because: -because.effect)
    return replace(found, because=tuple(ordered[:MOST]))
