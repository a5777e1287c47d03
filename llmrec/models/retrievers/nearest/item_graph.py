"""An HNSW graph (Malkov & Yashunin, 2018; faiss) over item vectors, for the highest dot product."""

import faiss
import numpy as np

from llmrec.config.serving.approximate import ApproximateConfig
from llmrec.features.asof.item_sets import ItemSet
from llmrec.models.base import Floats, Ints


class ItemGraph:
    """A graph of neighbours needs a metric, which a dot product is not: items' lengths differ by their biases.

    So each vector gets one number more that makes all equally long (Bachrach et al., RecSys 2014), 0 for a query: the
    nearest by Euclid's distance is then the one of the highest dot product.
    """

    def __init__(self, vectors: Floats, settings: ApproximateConfig) -> None:
        """`vectors` (n, d)."""
        self._length2 = float((vectors**2).sum(axis=1).max())
        self._index = faiss.IndexHNSWFlat(vectors.shape[1] + 1, settings.links, faiss.METRIC_L2)
        self._index.hnsw.efConstruction = settings.ef_construction
        self.ef = settings.ef_construction  # nodes looked at for a request
        self.add(vectors)

    def add(self, vectors: Floats) -> None:
        """Further items, rows following the others'. Of one longer than all before, the length counts as theirs."""
        missing = np.maximum(self._length2 - (vectors**2).sum(axis=1), 0)
        self._index.add(np.column_stack([vectors, np.sqrt(missing)]).astype(np.float32))

    def search(self, queries: Floats, k: int, among: ItemSet | None = None, barred: Ints | None = None) -> Ints:
        """(Q, k) rows, the nearest first, -1 where fewer were found; in `among` and not `barred`, where they are given.

        The smaller the share that may be found, the more nodes are looked at.
        """
        lifted = np.column_stack([queries, np.zeros(len(queries))]).astype(np.float32)
        share = 1.0 if among is None else among.count / self._index.ntotal
        options = faiss.SearchParametersHNSW(  # type: ignore[attr-defined]
            efSearch=max(int(self.ef / max(share, 1e-9)), k), sel=_selector(among, barred)
        )
        found: Ints = self._index.search(lifted, k, params=options)[1]
        return found


def _selector(among: ItemSet | None, barred: Ints | None) -> faiss.IDSelector | None:
    inside = None if among is None else faiss.IDSelectorBitmap(among.bits)  # type: ignore[call-arg, arg-type]
    if barred is None or not len(barred):
        return inside
    outside = faiss.IDSelectorNot(faiss.IDSelectorBatch(barred))
    return outside if inside is None else faiss.IDSelectorAnd(inside, outside)
