"""Gradient-boosted trees over collaborative, popularity and (with words) text features."""

from typing import Any, ClassVar, Literal

import lightgbm
import numpy as np
import numpy.typing as npt

from llmrec.models.base import Arrays, FitData, Floats, ModelInfo
from llmrec.models.boosting import booster_bytes, booster_of, grow
from llmrec.models.retrievers.pointwise.features import Pointwise, PointwiseConfig


class BoostedConfig(PointwiseConfig):
    name: Literal["boosted"] = "boosted"


class BoostedTextConfig(PointwiseConfig):
    name: Literal["boosted_text"] = "boosted_text"


class Boosted(Pointwise):
    """Popularity is among the features, so it needs no fallback."""

    Config: ClassVar[Any] = BoostedConfig
    INFO = ModelInfo("Boosted ranker", "gradient-boosted trees over out-of-fold EASE scores, popularity and recency",
                     "events", "Friedman 2001; LightGBM", needs_clock=True, answers_all=True)  # fmt: skip
    _trees: lightgbm.Booster

    def estimate(self, rows: Floats, label: npt.NDArray[np.bool_], seed: int) -> None:
        self._trees = grow(rows, label, objective="binary", rounds=200, seed=seed)

    def probability(self, rows: Floats) -> npt.NDArray[np.float64]:
        return np.asarray(self._trees.predict(rows, num_threads=1))

    def state(self) -> Arrays:
        return super().state() | {"trees": booster_bytes(self._trees)}

    def restore(self, arrays: Arrays, data: FitData) -> None:
        super().restore(arrays, data)
        self._trees = booster_of(arrays["trees"])


class BoostedText(Boosted):
    """And with text profiles."""

    Config = BoostedTextConfig
    INFO = ModelInfo(
        "Boosted ranker with text", "gradient-boosted trees over out-of-fold EASE scores, popularity, recency and text",
        "text", "Friedman 2001; LightGBM", needs_clock=True, answers_all=True,
    )  # fmt: skip
