"""Popularity as of the request's time: the baseline that an honest clock makes hard to beat."""

from typing import Any, ClassVar, Literal

from pydantic import Field

from llmrec.config.models import ModelConfig
from llmrec.models.base import Arrays, FitData, Floats, ModelInfo, Requests, Retriever


class PopularityConfig(ModelConfig):
    name: Literal["popularity"] = "popularity"


class RecentPopularityConfig(ModelConfig):
    name: Literal["recent_popularity"] = "recent_popularity"
    decay_days: float = Field(90.0, gt=0, description="an event of age a days counts exp(-a / decay_days)")


class Popularity(Retriever):
    """Number of events before t. Nothing is learned: counts are read as of each request."""

    Config: ClassVar[Any] = PopularityConfig
    INFO = ModelInfo("Popularity", "number of events before the query's time", "events", answers_all=True)

    def fit(self, data: FitData) -> None:
        pass

    def scores(self, requests: Requests) -> Floats:
        return requests.as_of.popularity(requests.times, getattr(self.config, "decay_days", None))

    def state(self) -> Arrays:
        return {}

    def restore(self, arrays: Arrays, data: FitData) -> None:
        pass


class RecentPopularity(Popularity):
    """The same, recent events counting more."""

    Config = RecentPopularityConfig
    INFO = ModelInfo("Recent popularity", "number of events before the query's time, weighted by exp(-age / decay)",
                     "events", needs_clock=True, answers_all=True)  # fmt: skip
