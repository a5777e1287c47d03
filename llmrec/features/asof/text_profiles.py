"""Text profiles as of a moment: the mean vector of what was written by a user, or about an item, before t.

`put_back` gives the mistake that the leak gap measures: the target's own review enters the profile of its user's side,
its item's side, or both. It exists for that measurement alone.
"""

from typing import Literal

import numpy as np
import numpy.typing as npt

from llmrec.features.asof.events import EntityEvents
from llmrec.features.asof.interactions import Floats, Interactions, Ints
from llmrec.features.transforms.projection import Moments, Projection

Vectors = npt.NDArray[np.float32]
IncludedTargetReview = Literal["user side", "item side", "both"]


def text_axes(vectors: Vectors, train: Ints, dim: int) -> Projection:
    """Principal axes, at most `dim`, of the training rows that have a text (n_events, dim)."""
    found = Moments.of(vectors[train])
    return Projection.fit(found, found.nothing(), dim)


class Profiles:
    """Running sums of review vectors within each entity, in order of time."""

    def __init__(self, data: Interactions, entity: Ints, n_entities: int, vectors: Vectors) -> None:
        """`entity` (n_events,) user or item of each event; `vectors` (n_events, dim), zero where there is no text."""
        self._events = EntityEvents.of(entity, data.time, n_entities)
        order, zero = self._events.order, np.zeros((1, vectors.shape[1]))
        self._sum: Floats = np.concatenate([zero, np.cumsum(vectors[order], axis=0, dtype=np.float64)])
        self._count: Ints = np.concatenate([[0], np.cumsum(vectors[order].any(axis=1))])
        self.n_entities, self.vectors = n_entities, vectors

    def at(self, entities: Ints, times: Ints, extra: Ints | None = None) -> tuple[Floats, Ints]:
        """(mean (Q, dim), count (Q,)) of the texts before each time; `extra` (Q,): an event row put back, −1 none."""
        span = self._events.span(entities, times)
        total, count = self._sum[span.end] - self._sum[span.begin], self._count[span.end] - self._count[span.begin]
        if extra is not None:
            added = np.where((extra >= 0)[:, None], self.vectors[np.maximum(extra, 0)], 0)
            total, count = total + added, count + added.any(axis=1)
        return total / np.maximum(count, 1)[:, None], count

    def everyone_at(self, time: int) -> tuple[Floats, Ints]:
        """`at` for all entities at one time."""
        return self.at(np.arange(self.n_entities), np.full(self.n_entities, time, np.int64))
