"""Words to items: BM25 over their own words, BM25 over what reviews say, and vectors, united by reciprocal ranks."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

import numpy as np

from llmrec.features.arrays import Bools, Floats32, Ints
from llmrec.files import read_json, write_json
from llmrec.search.texts import Highlight, ItemTexts
from llmrec.search.vectors import ItemVectors
from llmrec.search.words import WordIndex
from llmrec.words import terms

#: Reciprocal rank fusion (Cormack, Clarke & Büttcher, SIGIR 2009): a list adds weight / (RANK + rank) to its items.
#: They took 60; on the built-in corpus 10 keeps more of what one list alone knows (benchmarks/RESULTS.md).
RANK = 10
DEPTH = 200  # items of each list that count
#: Of the vectors' list. Each list of words weighs as much of 1 as its best item covers of the query's information:
#: a title typed in full is the words' to find, a paraphrase the vectors'.
VECTORS_WEIGHT = 0.5
_SETTINGS, _TEXTS, _VECTORS, _OWN, _SAID = "search.json", "items.arrow", "vectors.npy", "own", "said"


@dataclass(frozen=True)
class Asked:
    """What is looked for in words; `vector` (dim,) of the text as a query, None where no encoder said it."""

    text: str
    vector: Floats32 | None = None


@dataclass(frozen=True)
class Matches:
    """What a query finds among n items: `relevance` (n,), 0 where nothing matched, and which list found each."""

    relevance: Floats32
    by_words: Bools
    by_vectors: Bools

    def __bool__(self) -> bool:
        return bool(self.relevance.any())

    def best(self, k: int) -> Ints:
        """At most `k` rows that matched, the most relevant first, equal ones in order of rows."""
        rows = np.flatnonzero(self.relevance)
        found: Ints = rows[np.argsort(-self.relevance[rows], kind="stable")][:k]
        return found


@dataclass(frozen=True)
class SearchIndex:
    """What a bundle searches in; rows are its History's. `vectors` is None where no encoder read the items."""

    texts: ItemTexts
    own: WordIndex
    said: WordIndex
    vectors: ItemVectors | None

    def save(self, folder_uri: str) -> None:
        """Write all of it below the folder."""
        self.texts.save(f"{folder_uri}/{_TEXTS}")
        self.own.save(f"{folder_uri}/{_OWN}")
        self.said.save(f"{folder_uri}/{_SAID}")
        if self.vectors is not None:
            self.vectors.save(f"{folder_uri}/{_VECTORS}")
        write_json(f"{folder_uri}/{_SETTINGS}", {"vectors": self.vectors is not None, "items": len(self)})

    @classmethod
    def load(cls, folder_uri: str) -> Self | None:
        """What `save` wrote, mapped; None where there is none."""
        settings = read_json(f"{folder_uri}/{_SETTINGS}")
        if settings is None:
            return None
        n, vectors = (
            int(settings["items"]),
            ItemVectors.load(f"{folder_uri}/{_VECTORS}") if settings["vectors"] else None,
        )
        own, said = (WordIndex.load(f"{folder_uri}/{name}", n) for name in (_OWN, _SAID))
        return cls(ItemTexts.load(f"{folder_uri}/{_TEXTS}"), own, said, vectors)

    def __len__(self) -> int:
        return self.own.n_items

    def find(self, asked: Asked, allowed: Bools) -> Matches:
        """What of the items `allowed` (n,) the words and their vector find; nothing where they say nothing.

        Items that joined after the index was made stand behind the others: no words find them.
        """
        joined, allowed = len(allowed) - len(self), allowed[: len(self)]
        relevance, by_words, by_vectors = np.zeros(len(self), np.float32), *np.zeros((2, len(self)), np.bool_)
        for scores, weight in self._words(terms(asked.text), allowed):
            relevance += weight * reciprocal_ranks(scores)
            by_words |= scores > 0
        if self.vectors is not None and asked.vector is not None:
            near = self.vectors.nearness(asked.vector)
            if not by_words.any() and near.max(initial=0) <= self.vectors.alike - self.vectors.background:
                near[:] = 0  # letters at random
            found = reciprocal_ranks(np.where(allowed, near, 0))
            relevance += VECTORS_WEIGHT * found
            by_vectors = found > 0
        more = (0, joined)
        return Matches(np.pad(relevance, more), np.pad(by_words, more), np.pad(by_vectors, more))

    def _words(self, words: list[str], allowed: Bools) -> Iterator[tuple[Floats32, float]]:
        """Of each index (n,) scores, and what its list weighs."""
        for index in (self.own, self.said):
            found = index.score(words)
            coverage = np.where(allowed, found.coverage, 0)
            yield np.where(allowed, found.scores, 0).astype(np.float32), float(coverage.max(initial=0))

    def highlights(self, row: int, text: str) -> tuple[Highlight, ...]:
        """Where the item's own text holds words of `text` that tell items apart."""
        telling = self.own.telling(self.own.known(terms(text)))
        return self.texts.highlights(row, frozenset(self.own.terms[int(column)] for column in telling))


def reciprocal_ranks(scores: Floats32) -> Floats32:
    """(n,) 1 / (RANK + rank) of the DEPTH highest positive scores, equal ones sharing a rank; 0 of the others."""
    rows = np.flatnonzero(scores > 0)
    if len(rows) > DEPTH:
        rows = rows[np.argpartition(-scores[rows], DEPTH - 1)[:DEPTH]]
    falling = np.sort(-scores[rows])
    ranks = 1 + np.searchsorted(falling, -scores[rows], side="left")
    found = np.zeros(len(scores), np.float32)
    found[rows] = 1 / (RANK + ranks)
    return found
