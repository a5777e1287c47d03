"""Two bundles as they serve, asked the same: what each lists for events that neither was fitted on."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from llmrec.bundle import Bundle
from llmrec.config.serving.refresh import RefreshConfig
from llmrec.evaluation.statistics.bootstrap import Bootstrap
from llmrec.features.arrays import Floats, Ints
from llmrec.live.context import LiveContext
from llmrec.live.log_point import LogPoint
from llmrec.live_bundle import LogFile, go_live
from llmrec.models import metrics
from llmrec.storage import Artifact
from llmrec.variants import VALIDATED

#: Queries whose states are in memory at once.
_BLOCK = 256


def least_queries(settings: RefreshConfig) -> int:
    """Events without which nothing is compared."""
    return max(1, settings.least_events // 4)


@dataclass(frozen=True)
class Asked:
    """Q events as queries: who, what they took, and when (ms), in order of time."""

    users: list[str]
    items: list[str]
    times: Ints

    def __len__(self) -> int:
        return len(self.times)

    def thinned(self, most: int) -> "Asked":
        """At most so many, spread evenly over time."""
        rows = np.unique(np.linspace(0, len(self) - 1, min(most, len(self))).round().astype(np.int64))
        return Asked([self.users[r] for r in rows], [self.items[r] for r in rows], self.times[rows])


@dataclass(frozen=True)
class Comparison:
    """VALIDATED of one bundle and of another on the same queries; low and high: of the paired difference, one − other.

    Intervals are clustered by user and by item, of confidence `confidence`.
    """

    one: float
    other: float
    low: float
    high: float
    queries: int
    confidence: float

    @property
    def difference(self) -> float:
        return self.one - self.other

    def no_worse_than(self, tolerance: float) -> bool:
        """Whether the interval lies above −tolerance × the other's figure."""
        return self.low >= -tolerance * self.other

    @property
    def worse(self) -> bool:
        """Whether the whole interval lies below 0."""
        return self.high < 0

    def told(self) -> dict[str, Any]:
        rounded = {name: round(value, 5) for name, value in vars(self).items() if isinstance(value, float)}
        return {"metric": VALIDATED, "difference": round(self.difference, 5), **rounded, "queries": self.queries}


def compared(one: Floats, other: Floats, asked: Asked, confidence: float = 0.95) -> Comparison:
    """Of the (Q,) values of both."""
    users, items = (np.unique(ids, return_inverse=True)[1].astype(np.int64) for ids in (asked.users, asked.items))
    found = Bootstrap(users, 2, 0, items).mean(one - other).estimate(confidence)
    low, high = (-np.inf, np.inf) if found.low is None or found.high is None else (found.low, found.high)
    return Comparison(float(one.mean()), float(other.mean()), float(low), float(high), len(asked), confidence)


def served_values(
    bundle: Artifact, log: LogFile, point: LogPoint, asked: Asked, retrieve: int, until: int | None = None
) -> Floats:
    """(Q,) VALIDATED of what the bundle lists as it would serve: the log's events up to `until` in its history, without
    those that `point` holds back, each query seeing what came before its time."""
    loaded = Bundle.load(bundle.root, LiveContext.of)
    own = loaded.settings.log
    known = own if own is not None and own.log == point.log else LogPoint(log=point.log, through=0, events=0)
    live, models = go_live(loaded, log, known.model_copy(update={"held": point.held}))
    live.catch_up(point.through if until is None else until)
    recommender = replace(loaded, models=models).recommender(retrieve)
    name, k = metrics.parse(VALIDATED)
    history, values = loaded.history, list[Floats]()
    for start in range(0, len(asked), _BLOCK):
        part = slice(start, start + _BLOCK)
        rows, times = history.user_rows(asked.users[part]), asked.times[part]
        users = history.users_at(rows, times)
        lists, _ = recommender.recommend(users, times, k)
        targets = history.item_rows(asked.items[part])
        hit = (lists == targets[:, None]) & (lists > 0)
        values.append(metrics.ranking(hit, np.ones(len(times), np.int64), [k], [name])[VALIDATED])
    return np.concatenate(values) if values else np.zeros(0)
