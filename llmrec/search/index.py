"""Words to items: BM25 over their own words, BM25 over what reviews say, and vectors, united by reciprocal ranks."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

import numpy as np

from llmrec.features.arrays import Bools, Floats32, Ints
from llmrec.files import read_json, write_json
from llmrec.search.quotes import Quotes
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
#: From this share of the best relevance on items answer alike, and what remains of an item that holds none of the words
#: of the one that holds most. Chosen on the built-in corpus: taste is to decide among items that answer alike.
ALIKE, WORDLESS = 0.25, 0.3
_SETTINGS, _TEXTS, _VECTORS, _OWN, _SAID, _QUOTES = (
    "search.json", "items.arrow", "vectors.npy", "own", "said", "quotes.arrow",
)  # fmt: skip


@dataclass(frozen=True)
class Asked:
    """What is looked for in words; `vector` (dim,) of the text as a query, None where no encoder said it."""

    text: str
    vector: Floats32 | None = None


@dataclass(frozen=True)
class Matches:
    """What a query finds among n items: `relevance` (n,), 0 where nothing matched, and which list found each.

    `coverage` (n,), 0 to 1: what each holds of the query's words, against the item that holds most.
    """

    relevance: Floats32
    coverage: Floats32
    by_words: Bools
    by_vectors: Bools

    def __bool__(self) -> bool:
        return bool(self.relevance.any())

    @property
    def answers(self) -> Floats32:
        """(n,) 0 to 1, how well each item answers, where something else is to decide among those that answer alike.

        Ranks fall steeply where items hardly differ; so relevance counts up to ALIKE of the best's, and beyond it only
        orders what is equal.
        """
        relevance = self.relevance / (self.relevance.max(initial=0) or 1)
        held = WORDLESS + (1 - WORDLESS) * self.coverage
        return np.asarray(np.minimum(relevance / ALIKE, 1) * held * (1 + 1e-6 * relevance), np.float32)

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
    quotes: Quotes | None = None  # of reviews, where the bundle keeps any

    def save(self, folder_uri: str) -> None:
        """Write all of it below the folder."""
        self.texts.save(f"{folder_uri}/{_TEXTS}")
        self.own.save(f"{folder_uri}/{_OWN}")
        self.said.save(f"{folder_uri}/{_SAID}")
        if self.vectors is not None:
            self.vectors.save(f"{folder_uri}/{_VECTORS}")
        if self.quotes is not None:
            self.quotes.save(f"{folder_uri}/{_QUOTES}")
        held = {"vectors": self.vectors is not None, "quotes": self.quotes is not None, "items": len(self)}
        write_json(f"{folder_uri}/{_SETTINGS}", held)

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
        quotes = Quotes.load(f"{folder_uri}/{_QUOTES}") if settings.get("quotes") else None
        return cls(ItemTexts.load(f"{folder_uri}/{_TEXTS}"), own, said, vectors, quotes)

    def __len__(self) -> int:
        return self.own.n_items

    def find(self, asked: Asked, allowed: Bools) -> Matches:
        """What of the items `allowed` (n,) the words and their vector find; nothing where they say nothing.

        Items that joined after the index was made stand behind the others: no words find them.
        """
        joined, allowed = len(allowed) - len(self), allowed[: len(self)]
        relevance, covered = np.zeros((2, len(self)), np.float32)
        by_words, by_vectors = np.zeros((2, len(self)), np.bool_)
        for scores, coverage in self._words(terms(asked.text), allowed):
            relevance += coverage.max(initial=0) * reciprocal_ranks(scores)
            by_words |= scores > 0
            covered = np.maximum(covered, coverage)
        covered = covered / covered.max() if covered.any() else np.ones_like(covered)
        if self.vectors is not None and asked.vector is not None:
            near = self.vectors.nearness(asked.vector)
            if not by_words.any() and near.max(initial=0) <= self.vectors.alike - self.vectors.background:
                near[:] = 0  # letters at random
            found = reciprocal_ranks(np.where(allowed, near, 0))
            relevance += VECTORS_WEIGHT * found
            by_vectors = found > 0
        more = (0, joined)
        return Matches(*(np.pad(values, more) for values in (relevance, covered, by_words, by_vectors)))

    def _words(self, words: list[str], allowed: Bools) -> Iterator[tuple[Floats32, Floats32]]:
        """Of each index (n,) scores, and (n,) coverage, whose most is what its list weighs."""
        for index in (self.own, self.said):
            found = index.score(words)
            coverage = np.where(allowed, found.coverage, 0)
            yield np.where(allowed, found.scores, 0).astype(np.float32), coverage.astype(np.float32)

    def highlights(self, row: int, text: str) -> tuple[Highlight, ...]:
        """Where the item's own text holds words of `text` that tell items apart."""
        return self.texts.highlights(row, _telling(self.own, text))

    def quote(self, row: int, before: int, text: str, but: str | None) -> str | None:
        """A verbatim sentence of a review of the item; see `Quotes.best`. `text`: what is asked for, if anything is."""
        return None if self.quotes is None else self.quotes.best(row, before, _telling(self.said, text), but)


def _telling(index: WordIndex, text: str) -> frozenset[str]:
    """The words of a text that tell items apart."""
    return frozenset(index.terms[int(column)] for column in index.telling(index.known(terms(text))))


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
