"""Vectors of items at one moment, searched exactly or approximately."""

import logging
from collections.abc import Sequence

import faiss
import numpy as np

from llmrec.config.serving.approximate import ApproximateConfig
from llmrec.features.asof.item_sets import ItemSet
from llmrec.models.base import Bools, Floats, Ints
from llmrec.models.retrievers.nearest.item_graph import ItemGraph

logger = logging.getLogger(__name__)
#: Best items of exact search that recall is the share of, and how many are searched for when it is measured.
RECALL_AT, SEARCHED = 50, 200
#: A visit of the graph costs about as much as this many dot products.
_VISIT = 30


class ItemIndex:
    """Item vectors of one moment, searched exactly, and by a graph once it is linked."""

    def __init__(self, vectors: Floats) -> None:
        self.vectors, self.nbytes = vectors, vectors.nbytes
        self._graph: ItemGraph | None = None
        self.recall = 1.0  # of the graph, as measured when it was made

    @property
    def ef(self) -> int:
        """Nodes that the graph looks at for a request; 0 without one."""
        return 0 if self._graph is None else self._graph.ef

    @property
    def linked(self) -> bool:
        """Whether there is a graph."""
        return self._graph is not None

    def link(self, settings: ApproximateConfig, queries: Floats) -> None:
        """Make the graph; it looks at as many nodes (ef) as it takes to find `settings.recall` of exact search's best.

        `queries` (S, d): what is asked. Recall counts less two standard errors, so that other queries reach it too.
        """
        graph, n = ItemGraph(self.vectors, settings), len(self.vectors)
        exact = faiss.knn(queries, self.vectors, min(RECALL_AT, n), metric=faiss.METRIC_INNER_PRODUCT)[1]
        graph.ef = SEARCHED
        while True:
            found = graph.search(queries, min(SEARCHED, n))
            shares = np.array([np.isin(best, mine).mean() for best, mine in zip(exact, found, strict=True)])
            self.recall, error = float(shares.mean()), float(shares.std() / len(shares) ** 0.5)
            if self.recall - 2 * error >= settings.recall or 2 * graph.ef > settings.max_ef:
                break
            graph.ef *= 2
        logger.info("graph of %d items: ef %d, recall@%d %.4f", n, graph.ef, RECALL_AT, self.recall)
        self._graph = graph

    def put(self, rows: Ints, vectors: Floats) -> None:
        """Other vectors of items, or of further ones; a graph keeps those that it has, and takes the further ones."""
        old = len(self.vectors)
        grown = np.zeros((max(old, int(rows.max()) + 1), vectors.shape[1]), np.float32)
        grown[:old], grown[rows] = self.vectors, vectors
        self.vectors, self.nbytes = grown, grown.nbytes
        if self._graph is not None and len(grown) > old:
            self._graph.add(grown[old:])

    def scores(self, queries: Floats, allowed: Bools) -> Floats:
        """(Q, n) dot products; -inf for what is not allowed (Q, n)."""
        return np.where(allowed, queries @ self.vectors.T, np.float32(-np.inf))

    def nearest(self, queries: Floats, among: ItemSet, barred: Sequence[Ints], k: int) -> tuple[Ints, Floats]:
        """Rows (Q, N) of items of `among` that are not barred, the `k` best among them, and dot products (Q, N).

        By the graph, in which what may not be found is passed through; or, where `among` is so small that this would
        look at more, by all of it. -1 and -inf pad.
        """
        assert self._graph is not None
        if among.count**2 < _VISIT * self._graph.ef * len(self.vectors):
            return self._few(queries, among, barred)
        rows = np.stack(
            [self._graph.search(q[None], k, among, mine)[0] for q, mine in zip(queries, barred, strict=True)]
        )
        return rows, np.where(rows >= 0, self.of(queries, rows), np.float32(-np.inf))

    def _few(self, queries: Floats, among: ItemSet, barred: Sequence[Ints]) -> tuple[Ints, Floats]:
        """All of `among`."""
        scores = queries @ self.vectors[among.rows].T
        for q, mine in enumerate(barred):
            scores[q, np.isin(among.rows, mine)] = -np.inf
        return np.where(np.isfinite(scores), among.rows, -1), scores

    def of(self, queries: Floats, rows: Ints) -> Floats:
        """(Q, N) dot products of each query with its items `rows` (Q, N)."""
        return np.asarray(np.einsum("qd,qnd->qn", queries, self.vectors[np.maximum(rows, 0)]), np.float32)
