"""Vectors of items at one moment, searched exactly or approximately."""

import faiss
import numpy as np

from llmrec.models.base import Bools, Floats, Ints


class ItemIndex:
    """Item vectors of one moment, searched exactly or by an HNSW graph (Malkov & Yashunin, 2018) from faiss."""

    LINKS = 32

    def __init__(self, vectors: Floats, approximate: bool = False) -> None:
        self.vectors, self.nbytes = vectors, vectors.nbytes
        self._graph = None
        if approximate:
            self._graph = faiss.IndexHNSWFlat(vectors.shape[1], self.LINKS, faiss.METRIC_INNER_PRODUCT)
            self._graph.add(vectors)

    def put(self, rows: Ints, vectors: Floats) -> None:
        """Other vectors of items, or of further ones; a graph keeps those that it has, and takes the further ones."""
        old = len(self.vectors)
        grown = np.zeros((max(old, int(rows.max()) + 1), vectors.shape[1]), np.float32)
        grown[:old], grown[rows] = self.vectors, vectors
        self.vectors, self.nbytes = grown, grown.nbytes
        if self._graph is not None and len(grown) > old:
            self._graph.add(grown[old:])

    def scores(self, queries: Floats, allowed: Bools, k: int) -> Floats:
        """(Q, n) dot products; -inf for what is not allowed (Q, n) or, by the graph, not among the k found."""
        if self._graph is None:
            return np.where(allowed, queries @ self.vectors.T, np.float32(-np.inf))
        scores = np.full(allowed.shape, -np.inf, np.float32)
        for q in range(len(queries)):
            bits = np.packbits(allowed[q], bitorder="little")
            keep = faiss.IDSelectorBitmap(bits)  # type: ignore[call-arg, arg-type]  # faiss wraps it for Python
            options = faiss.SearchParametersHNSW(efSearch=max(2 * k, 64), sel=keep)  # type: ignore[attr-defined]
            found, rows = self._graph.search(queries[q : q + 1], k, params=options)
            scores[q, rows[0][rows[0] >= 0]] = found[0][rows[0] >= 0]
        return scores

    def of(self, queries: Floats, rows: Ints) -> Floats:
        """(Q, N) dot products of each query with its items `rows` (Q, N)."""
        return np.asarray(np.einsum("qd,qnd->qn", queries, self.vectors[np.maximum(rows, 0)]), np.float32)
