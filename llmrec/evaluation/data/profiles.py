"""Text profiles as of a moment: the mean vector of what was written by a user, or about an item, before t.

`put_back` gives the mistake that the leak gap measures: the target's own review enters the profile of its user's side,
its item's side, or both. It exists for that measurement alone.
"""

from typing import Literal

import numpy as np
import numpy.typing as npt
from sklearn.decomposition import PCA

from llmrec.evaluation.data.interactions import Floats, Interactions, Ints

Vectors = npt.NDArray[np.float32]
IncludedTargetReview = Literal["user side", "item side", "both"]


def reduced(vectors: Vectors, train: Ints, dim: int, seed: int) -> Vectors:
    """(n_events, ≤ dim) principal components, fitted on the training rows that have a text; no text stays zero."""
    has_text = np.asarray(vectors.any(axis=1))
    rows = train[has_text[train]]
    dim = min(dim, len(rows), vectors.shape[1])
    if not dim:
        return np.zeros((len(vectors), 1), np.float32)
    pca = PCA(dim, random_state=seed).fit(vectors[rows])
    return np.asarray(pca.transform(vectors) * has_text[:, None], np.float32)


class Profiles:
    """Running sums of review vectors within each entity, in order of time."""

    def __init__(self, data: Interactions, entity: Ints, n_entities: int, vectors: Vectors) -> None:
        """`entity` (n_events,) user or item of each event; `vectors` (n_events, dim), zero where there is no text."""
        order = np.argsort(entity, kind="stable")
        self._moments = np.unique(data.time)
        stamp = np.searchsorted(self._moments, data.time[order])
        self._key = entity[order] * (len(self._moments) + 1) + stamp
        zero = np.zeros((1, vectors.shape[1]))
        self._sum: Floats = np.concatenate([zero, np.cumsum(vectors[order], axis=0, dtype=np.float64)])
        self._count: Ints = np.concatenate([[0], np.cumsum(vectors[order].any(axis=1))])
        self.n_entities, self.vectors = n_entities, vectors

    def at(self, entities: Ints, times: Ints, extra: Ints | None = None) -> tuple[Floats, Ints]:
        """(mean (Q, dim), count (Q,)) of the texts before each time; `extra` (Q,): an event row put back, −1 none."""
        first = entities * (len(self._moments) + 1)
        start = np.searchsorted(self._key, first)
        stop = np.searchsorted(self._key, first + np.searchsorted(self._moments, times))
        total, count = self._sum[stop] - self._sum[start], self._count[stop] - self._count[start]
        if extra is not None:
            added = np.where((extra >= 0)[:, None], self.vectors[np.maximum(extra, 0)], 0)
            total, count = total + added, count + added.any(axis=1)
        return total / np.maximum(count, 1)[:, None], count

    def everyone_at(self, time: int) -> tuple[Floats, Ints]:
        """`at` for all entities at one time."""
        return self.at(np.arange(self.n_entities), np.full(self.n_entities, time, np.int64))
