"""Popularity that learns, from the events before each day, which popularity tells what is taken next."""

from collections.abc import Iterator
from dataclasses import dataclass
from threading import Lock
from typing import Any, Literal
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt
from pydantic import Field

from llmrec.config.models import ModelConfig
from llmrec.features.asof.interactions import AsOf
from llmrec.features.families.behaviour import log_rate
from llmrec.models.base import Arrays, FitData, Floats, Ints, ModelContext, ModelInfo, Requests
from llmrec.models.by_moment import by_moment
from llmrec.models.retrievers.popular.dynamic_logit import Beliefs
from llmrec.models.retrievers.popular.popularity import Popularity
from llmrec.schema import DAY_MS

Doubles = npt.NDArray[np.float64]
#: Of the weights before any event is seen.
_VARIANCE = 0.1
#: Days that are learned from together, and so always from the same start, to the bit.
_BLOCK = 16


class AdaptivePopularityConfig(ModelConfig):
    name: Literal["adaptive_popularity"] = "adaptive_popularity"
    decay_days: tuple[float, ...] = Field(
        (14.0, 60.0, 365.0), min_length=1, description="of the popularities that are weighed, by count and by rate"
    )
    drift: float = Field(1e-5, ge=0, description="variance that each weight gains in a day: how soon it forgets")
    learn_days: int = Field(1_000, ge=1, description="before the cut-off, from which on it learns")


class AdaptivePopularity(Popularity):
    """A conditional logit over all items known at a time: log counts, decayed counts, log rates by time at risk, age.

    Its weights follow the events day by day (`Beliefs`): the list of a day reads those learned before it began, and
    counts as of the request. Nothing is fitted to a period, so that what is learned goes on while a bundle serves.
    """

    Config = AdaptivePopularityConfig
    INFO = ModelInfo(
        "Adaptive popularity", "popularities weighed by how well each told what came next, day by day", "events",
        "West, Harrison & Migon, JASA 1985", needs_clock=True, answers_all=True,
    )  # fmt: skip

    def __init__(self, config: Any, context: ModelContext | None = None) -> None:
        super().__init__(config, context)
        self._first_day, self._courses, self._lock = 0, WeakKeyDictionary[AsOf, _Course](), Lock()

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name not in ("_courses", "_lock")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["config"], state["context"])  # type: ignore[misc]
        self._first_day = state["_first_day"]

    def fit(self, data: FitData) -> None:
        last = data.data.time[data.train].max(initial=0)
        self._first_day = max(int(last) // DAY_MS - self.config.learn_days, 0)

    def scores(self, requests: Requests) -> Floats:
        found = np.empty((len(requests), requests.as_of.data.n_items), np.float32)
        for day, part in by_moment(requests.times // DAY_MS):
            weights = self.weights(requests.as_of, day)
            columns = _columns(requests.as_of, requests.times[part], self.config.decay_days)
            found[part] = sum(weight * column for weight, column in zip(weights, columns, strict=True))
        return found

    def weights(self, as_of: AsOf, day: int) -> Doubles:
        """(1 + 2 W + 1,) of the columns, learned from the events before a day (since 1970, UTC) began."""
        with self._lock:
            if as_of not in self._courses:
                self._courses[as_of] = _Course(self.config, self._first_day)
            return self._courses[as_of].at(as_of, day).mean

    def state(self) -> Arrays:
        return {"first_day": np.array([self._first_day])}

    def restore(self, arrays: Arrays, data: FitData) -> None:
        self._first_day = int(arrays["first_day"][0])


def _columns(as_of: AsOf, times: Ints, decays: tuple[float, ...]) -> Iterator[Doubles]:
    """(Q, n_items) each: log count, log decayed counts, log rates, log age in days; as of each time."""
    known = as_of.data.known_from
    age = np.maximum(times[:, None] - np.minimum(known, times.max(initial=0)), 0) / DAY_MS
    decayed = [as_of.counts(times, days) for days in decays]
    yield np.log1p(as_of.counts(times))
    yield from (np.log1p(counts) for counts in decayed)
    yield from (log_rate(counts, age, days) for counts, days in zip(decayed, decays, strict=True))
    yield np.log1p(age)


@dataclass(frozen=True)
class _Learned:
    """What was learned from the first `n` events, those of `day` the last."""

    n: int
    day: int
    beliefs: Beliefs


class _Course:
    """What is learned day by day: block by block, when it is asked for, and anew where the past has changed."""

    def __init__(self, config: AdaptivePopularityConfig, first_day: int) -> None:
        n, self._config, self._first_day = len(config.decay_days), config, first_day
        start = np.zeros(2 + 2 * n)
        start[n] = 1.0  # the longest window's count, and nothing else
        self._nothing = Beliefs.of(start, _VARIANCE)
        self._after: dict[int, _Learned] = {}  # by day that has events
        self._before: dict[int, _Learned] = {}  # by block

    def at(self, as_of: AsOf, day: int) -> Beliefs:
        """What the events before a day began have taught."""
        until = (day // _BLOCK + 1) * _BLOCK
        times, items = as_of.events(self._first_day * DAY_MS, until * DAY_MS)
        n = int(np.searchsorted(times, day * DAY_MS))
        if not n:
            return self._nothing
        last = int(times[n - 1] // DAY_MS)
        if last not in self._after or self._after[last].n != n:
            self._learn(as_of, times, items, last // _BLOCK)
        return self._after[last].beliefs

    def _learn(self, as_of: AsOf, times: Ints, items: Ints, last: int) -> None:
        """The blocks up to `last`, from the first one on whose past is not what it was."""
        blocks = np.unique(times // DAY_MS // _BLOCK).tolist()
        begin = np.searchsorted(times, np.array(blocks) * _BLOCK * DAY_MS).tolist()
        known = [b in self._before and self._before[b].n == n for b, n in zip(blocks, begin, strict=True)]
        place = max(np.flatnonzero(known), default=0)
        learned = self._before[blocks[place]] if any(known) else _Learned(0, int(times[0] // DAY_MS), self._nothing)
        for number in range(place, blocks.index(last) + 1):
            self._before[blocks[number]] = learned
            part = slice(begin[number], begin[number + 1] if number + 1 < len(begin) else None)
            learned = self._through(as_of, learned, times[part] // DAY_MS, items[part])

    def _through(self, as_of: AsOf, learned: _Learned, days: Ints, items: Ints) -> _Learned:
        """After the events of a block: their days, ascending, and items (n,)."""
        moments, known = np.unique(days), as_of.data.known_from
        rows = np.stack(list(_columns(as_of, moments * DAY_MS, self._config.decay_days)), axis=2)  # (days, n_items, D)
        for day, seen in zip(moments.tolist(), rows, strict=True):
            beliefs = learned.beliefs.drifted(self._config.drift * (day - learned.day))
            candidates, mine = known < day * DAY_MS, items[days == day]
            taken = np.bincount(mine, minlength=len(known))[candidates].astype(np.float64)
            if taken.any():
                beliefs = beliefs.after(seen[candidates], taken)
            learned = self._after[day] = _Learned(learned.n + len(mine), day, beliefs)
        return learned
