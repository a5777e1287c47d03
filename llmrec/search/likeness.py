"""What items are like: their texts' vectors, their brand and their categories, as one space."""

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from llmrec.features.arrays import Floats32, Ints
from llmrec.features.asof.history_data import HistoryData


@dataclass(frozen=True)
class Likeness:
    """Of a History's items, by rows. `texts` (n, dim) of length one or zero; items that joined lately have none."""

    data: HistoryData
    texts: Floats32

    @classmethod
    def of(cls, data: HistoryData, texts: Floats32 | None) -> "Likeness":
        """`texts`: the items' vectors as the encoder gave them; None: as the features know them."""
        if texts is not None:
            return cls(data, texts)
        norms = np.linalg.norm(data.description, axis=1, keepdims=True)
        return cls(data, np.divide(data.description, norms, out=np.zeros_like(data.description), where=norms > 0))

    def kernel(self, a: Ints, b: Ints) -> Floats32:
        """(A, B) cosines of items: words and attributes count alike, those that an item lacks not at all.

        Over the same rows positive semi-definite: it is the product of one matrix of vectors of length one.
        """
        (ta, ca), (tb, cb) = self._parts(a, b), self._parts(b, b)
        together = ta @ tb.T + (ca @ cb.T).toarray()
        return np.asarray(together / np.outer(self._length(a), self._length(b)), np.float32)

    def _parts(self, rows: Ints, among: Ints) -> tuple[Floats32, sp.csr_matrix]:
        """Text vectors (n, dim) and attributes (n, C), each row of length one or zero; C: those that `among` have."""
        texts = np.zeros((len(rows), self.texts.shape[1]), np.float32)
        held = rows < len(self.texts)
        texts[held] = self.texts[rows[held]]
        codes = np.unique(self.data.attributes[among])
        codes = codes[codes != 0]
        mine = self.data.attributes[rows]
        n_each = np.maximum((mine != 0).sum(axis=1), 1)
        place = np.minimum(np.searchsorted(codes, mine), max(len(codes) - 1, 0))
        shared = (codes[place] == mine) & (mine != 0) if len(codes) else np.zeros_like(mine, np.bool_)
        row, column = np.nonzero(shared)
        values = (1 / np.sqrt(n_each[row])).astype(np.float32)
        shape = (len(rows), max(len(codes), 1))
        return texts, sp.csr_matrix((values, (row, place[row, column])), shape=shape)

    def _length(self, rows: Ints) -> Floats32:
        """(n,) of the vectors of both parts side by side; 1 of an item that has neither."""
        held = rows < len(self.texts)
        spoken = np.zeros(len(rows), np.float32)
        spoken[held] = self.texts[rows[held]].any(axis=1)
        told = (self.data.attributes[rows] != 0).any(axis=1)
        length = np.sqrt(spoken + told)
        return np.asarray(np.where(length > 0, length, 1), np.float32)
