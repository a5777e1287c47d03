"""A calibrator that is a line through points: (logit, calibrated logit), flat beyond the outer ones' distance."""

from abc import abstractmethod

import numpy as np
import numpy.typing as npt
from pydantic import Field
from scipy.special import expit

from llmrec.config.models import ModelConfig
from llmrec.models.base import Arrays, Calibrator, FitData, Floats
from llmrec.models.validation import click_metrics

Doubles = npt.NDArray[np.float64]


class KnotsConfig(ModelConfig):
    guard: bool = Field(
        True,
        description="keep the ranker's own where, fitted on the earlier half, it predicts the later half no better",
    )


class Knots(Calibrator):
    """Fitted on rows in order of time that the ranker has not seen; increasing, so that no order is changed.

    Unfitted it is the ranker's own probability.
    """

    _x: Doubles = np.zeros(0)
    _y: Doubles = np.zeros(0)

    @abstractmethod
    def knots(self, logits: Doubles, clicks: Floats) -> tuple[Doubles, Doubles]:
        """(K,) logits, increasing, and (K,) calibrated ones, increasing; K ≥ 2."""

    def fit(self, logits: Floats, clicks: Floats) -> dict[str, float]:
        scores, half = logits.astype(np.float64), len(logits) // 2
        self._x = self._y = np.zeros(0)
        before = click_metrics(clicks[half:], self.probability(logits[half:]))["log_loss"]
        self._x, self._y = self.knots(scores[:half], clicks[:half])
        after = click_metrics(clicks[half:], self.probability(logits[half:]))["log_loss"]
        kept = after < before or not self.config.guard
        self._x, self._y = self.knots(scores, clicks) if kept else (np.zeros(0), np.zeros(0))
        return {"log_loss": after if kept else before, "log_loss_before": before}

    def probability(self, logits: Floats) -> Floats:
        if not len(self._x):
            return np.asarray(expit(logits), np.float32)
        beyond = logits - np.clip(logits, self._x[0], self._x[-1])  # outside, the ranker's own steps
        return np.asarray(expit(np.interp(logits, self._x, self._y) + beyond), np.float32)

    def state(self) -> Arrays:
        return {"x": self._x, "y": self._y}

    def restore(self, arrays: Arrays, data: FitData) -> None:
        self._x, self._y = arrays["x"], arrays["y"]
