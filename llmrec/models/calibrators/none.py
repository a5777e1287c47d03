"""The ranker's own probability, as it is."""

from typing import Any, ClassVar, Literal

import numpy as np
from scipy.special import expit

from llmrec.config.models import ModelConfig
from llmrec.models.base import Arrays, Calibrator, FitData, Floats, ModelInfo


class NoneConfig(ModelConfig):
    name: Literal["none"] = "none"


class Uncalibrated(Calibrator):
    """1 / (1 + exp(−logit))."""

    Config: ClassVar[Any] = NoneConfig
    INFO = ModelInfo("Not calibrated", "the logistic function of the ranker's logit", "features", output="probability")

    def fit(self, logits: Floats, clicks: Floats) -> dict[str, float]:
        return {}

    def probability(self, logits: Floats) -> Floats:
        return np.asarray(expit(logits), np.float32)

    def state(self) -> Arrays:
        return {}

    def restore(self, arrays: Arrays, data: FitData) -> None:
        pass
