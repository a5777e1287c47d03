"""Popularity as of the request's time: the baseline that an honest clock makes hard to beat."""

from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from llmrec.config.models import ModelConfig
from llmrec.features.asof.item_sets import ItemSet
from llmrec.models.base import Arrays, FitData, Floats, Ints, ModelContext, ModelInfo, Requests, Retriever
from llmrec.models.fixed_order import FixedOrder


class PopularityConfig(ModelConfig):
    name: Literal["popularity"] = "popularity"


class RecentPopularityConfig(ModelConfig):
    name: Literal["recent_popularity"] = "recent_popularity"
    decay_days: float = Field(90.0, gt=0, description="an event of age a days counts exp(-a / decay_days)")


class Popularity(Retriever):
    """Number of events before t. Nothing is learned: counts are read as of each request."""

    Config: ClassVar[Any] = PopularityConfig
    INFO = ModelInfo("Popularity", "number of events before the query's time", "events", answers_all=True)
    grows = True

    def __init__(self, config: Any, context: ModelContext | None = None) -> None:
        super().__init__(config, context)
        self._asked = 0  # the time asked for last
        self._order = 0, FixedOrder.of(np.zeros(0, np.float32))  # a time, and the order of all items then

    def fit(self, data: FitData) -> None:
        pass

    def scores(self, requests: Requests) -> Floats:
        return requests.as_of.popularity(requests.times, getattr(self.config, "decay_days", None))

    def scores_of(self, requests: Requests, rows: Ints) -> Floats:
        order = self._settled(requests)
        return super().scores_of(requests, rows) if order is None else order.by_row[np.maximum(rows, 0)]

    def search(self, requests: Requests, among: ItemSet, barred: Sequence[Ints], k: int) -> tuple[Ints, Floats] | None:
        order, data = self._settled(requests), requests.as_of.data
        if order is None:
            return None
        return order.best(among, barred, k, data.user_hash[requests.users], data.item_hash)

    def _settled(self, requests: Requests) -> FixedOrder | None:
        """All items' order at the time of all the requests, kept where it is asked for again and nothing changes it."""
        as_of, time = requests.as_of, int(requests.times.max(initial=0))
        served = self.context is not None and as_of is self.context.as_of and as_of.settled
        if not served or (requests.times != time).any() or time != self._asked:
            self._asked = time
            return None
        if self._order[0] != time:
            one = Requests(np.zeros(1, np.int64), np.array([time]), as_of)
            self._order = time, FixedOrder.of(self.scores(one)[0])
        return self._order[1]

    def state(self) -> Arrays:
        return {}

    def restore(self, arrays: Arrays, data: FitData) -> None:
        pass


class RecentPopularity(Popularity):
    """The same, recent events counting more."""

    Config = RecentPopularityConfig
    INFO = ModelInfo("Recent popularity", "number of events before the query's time, weighted by exp(-age / decay)",
                     "events", needs_clock=True, answers_all=True)  # fmt: skip
