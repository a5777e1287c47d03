"""BM25: items whose words are those of what the user had."""

from typing import Literal

import numpy as np
import scipy.sparse as sp
from pydantic import Field

from llmrec.config.models import ModelConfig
from llmrec.models.base import FitData, ModelInfo
from llmrec.models.retrievers.item_weights import ItemWeights
from llmrec.models.retrievers.words.item_words import ItemWords, bm25_weights

#: Items whose words are asked for at once.
_ROWS = 512


class BM25Config(ModelConfig):
    name: Literal["bm25"] = "bm25"
    neighbours: int = Field(200, ge=1, description="items kept of each, those with the most in common")
    terms: int = Field(64, ge=1, description="words by which an item asks for others: those that say most of it")
    review_words: int = Field(2_000, ge=0, description="the last so many of an item's reviews; 0: its own text alone")


class BM25(ItemWeights):
    """Each item is a query of its most telling words over all items, as a share of what it says of itself.

    A word is the more telling the larger its own BM25 weight in the item.
    """

    Config = BM25Config
    INFO = ModelInfo("BM25", "items whose words are those of the user's items, as known at the cut-off", "words",
                     "Robertson & Zaragoza, 2009")  # fmt: skip

    def weights(self, data: FitData) -> sp.csr_matrix:
        words: ItemWords | None = None if data.words is None else data.words(self.config.review_words)
        if words is None or not words.vocabulary:
            n = data.data.n_items - 1
            return sp.csr_matrix((n, n), dtype=np.float32)
        weighed = bm25_weights(words).tocsr()[1:]
        asked = _telling(weighed, self.config.terms)
        rows = range(0, weighed.shape[0], _ROWS)
        return sp.vstack([_nearest(asked, weighed, start, self.config.neighbours) for start in rows], format="csr")


def _telling(weighed: sp.csr_matrix, n: int) -> sp.csr_matrix:
    """(n_items, words) 1 at the `n` words of each item that weigh most."""
    rows, columns = [], []
    for row in range(weighed.shape[0]):
        part = slice(weighed.indptr[row], weighed.indptr[row + 1])
        order = np.argsort(-weighed.data[part], kind="stable")[:n]
        columns.append(weighed.indices[part][order])
        rows.append(np.full(len(order), row))
    at = np.concatenate(rows), np.concatenate(columns)
    return sp.csr_matrix((np.ones(len(at[0]), np.float32), at), shape=weighed.shape)


def _nearest(asked: sp.csr_matrix, weighed: sp.csr_matrix, start: int, n: int) -> sp.csr_matrix:
    """(b, n_items) of some items: the `n` largest weights that others have for their words, over their own."""
    found = (asked[start : start + _ROWS] @ weighed.T).tocsr()
    rows, columns, values = [], [], []
    for row in range(found.shape[0]):
        part = slice(found.indptr[row], found.indptr[row + 1])
        items, scores = found.indices[part], found.data[part]
        own = scores[items == start + row]
        other = items != start + row
        items, scores = items[other], scores[other] / max(float(own[0]) if len(own) else 0.0, 1e-9)
        best = np.lexsort((items, -scores))[:n]
        rows.append(np.full(len(best), row))
        columns.append(items[best])
        values.append(scores[best])
    at = np.concatenate(rows), np.concatenate(columns)
    return sp.csr_matrix((np.concatenate(values).astype(np.float32), at), shape=found.shape)
