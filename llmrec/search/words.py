"""BM25 over the words of items (Robertson & Zaragoza, 2009; Lucene's variant, computed by bm25s), in mapped files."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
import numpy.typing as npt

from llmrec.features.arrays import Floats32, Ints, map_array, write_array
from llmrec.features.asof.ids import Ids
from llmrec.models.retrievers.words.item_words import ItemWords, bm25_weights

#: Words of a query that are looked up at most, the rarest first: more say nothing new and cost a list of items each.
MAX_TERMS = 64
#: A word that nearly all items have, and more than a handful, tells nothing: alone it is no query.
_COMMON, _HANDFUL = 0.9, 5
_ARRAYS = ("data", "indices", "indptr")
_TERMS = "terms.arrow"


@dataclass(frozen=True)
class WordScores:
    """BM25 of each item, (n,), 0 where no word of the query is, and how much of the query's information each holds.

    `coverage` (n,), 0 to 1: the share that the item's words have in the sum of the query's inverse document
    frequencies, a word that no item has counting as the rarest.
    """

    scores: Floats32
    coverage: Floats32


@dataclass(frozen=True)
class WordIndex:
    """`terms` by column (column 0: none), and a sparse matrix (n items, terms) of BM25 weights, column by column."""

    terms: Ids
    data: Floats32
    indices: npt.NDArray[np.int32]
    indptr: npt.NDArray[np.int64]
    n_items: int

    @classmethod
    def fit(cls, words: ItemWords) -> Self:
        """Index the words of items."""
        found = bm25_weights(words)
        return cls(
            Ids(["", *words.vocabulary]), found.data, found.indices.astype(np.int32), found.indptr.astype(np.int64),
            len(words.documents),
        )  # fmt: skip

    def save(self, folder_uri: str) -> None:
        """Write its files below the folder."""
        for name in _ARRAYS:
            write_array(f"{folder_uri}/{name}.npy", getattr(self, name))
        self.terms.save(f"{folder_uri}/{_TERMS}")

    @classmethod
    def load(cls, folder_uri: str, n_items: int) -> Self:
        """What `save` wrote, mapped. Raises FileNotFoundError, or ValueError for a file that is cut off."""
        data, indices, indptr = (map_array(f"{folder_uri}/{name}.npy") for name in _ARRAYS)
        return cls(Ids.load(f"{folder_uri}/{_TERMS}"), data, indices, indptr, n_items)

    @cached_property
    def _information(self) -> Floats32:
        """(terms,) inverse document frequency of each, Lucene's; of column 0 that of a word which no item has."""
        n, df = self.n_items, np.diff(self.indptr)
        return np.log1p((n - df + 0.5) / (df + 0.5)).astype(np.float32)

    def known(self, words: Sequence[str]) -> Ints:
        """Columns of those words that some item has, the rarest first, each once, MAX_TERMS at most."""
        columns = np.unique(self.terms.rows(list(dict.fromkeys(words))))
        columns = columns[columns > 0]
        found: Ints = columns[np.argsort(-self._information[columns], kind="stable")][:MAX_TERMS]
        return found

    def telling(self, columns: Ints) -> Ints:
        """Those of the columns whose word tells items apart."""
        items = self.indptr[columns + 1] - self.indptr[columns]
        found: Ints = columns[items <= max(self.n_items * _COMMON, _HANDFUL)]
        return found

    def score(self, words: Sequence[str]) -> WordScores:
        """What the index says of the words of a query, in any order; all zero where none of them tells anything."""
        columns = self.known(words)
        if not len(self.telling(columns)):
            columns = columns[:0]
        scores, held = np.zeros(self.n_items, np.float32), np.zeros(self.n_items, np.float32)
        for column in columns:
            of_it = slice(self.indptr[column], self.indptr[column + 1])
            scores[self.indices[of_it]] += self.data[of_it]
            held[self.indices[of_it]] += self._information[column]
        asked = self._information[self.terms.rows(list(dict.fromkeys(words)))].sum() if len(columns) else 1
        return WordScores(scores, np.asarray(held / asked, np.float32))
