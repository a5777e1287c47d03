"""Popularity by time at risk: events against the time in which an item could have had some."""

from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from llmrec.config.models import ModelConfig
from llmrec.features.families.behaviour import log_rate
from llmrec.models.base import Floats, ModelInfo, Requests
from llmrec.models.retrievers.popular.popularity import Popularity
from llmrec.schema import DAY_MS


class TimeAtRiskConfig(ModelConfig):
    name: Literal["time_at_risk"] = "time_at_risk"
    decay_days: float = Field(
        30.0, gt=0, description="an event, and a day at risk, of age a counts exp(-a / decay_days)"
    )


class TimeAtRisk(Popularity):
    """Decayed counts favour old items over launches, which had few days to be counted; a rate does not.

    `behaviour.log_rate`, which is a feature of items too.
    """

    Config: ClassVar[Any] = TimeAtRiskConfig
    INFO = ModelInfo(
        "Popularity by time at risk", "decayed events over the decayed days in which the item was known", "events",
        "Breslow & Day, IARC 1987, chapter 2", needs_clock=True, answers_all=True,
    )  # fmt: skip

    def scores(self, requests: Requests) -> Floats:
        days = self.config.decay_days
        known = requests.as_of.data.known_from
        age = np.maximum(requests.times[:, None] - np.minimum(known, requests.times.max(initial=0)), 0) / DAY_MS
        return np.asarray(log_rate(super().scores(requests).astype(np.float64), age, days), np.float32)
