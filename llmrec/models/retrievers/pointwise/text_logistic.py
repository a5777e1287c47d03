"""Logistic regression on the frozen encoder's profiles alone."""

from typing import Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from llmrec.models.base import Arrays, FitData, Floats, ModelInfo
from llmrec.models.linear import LinearModel
from llmrec.models.retrievers.pointwise.features import Pointwise, PointwiseConfig


class PointwiseTextConfig(PointwiseConfig):
    name: Literal["text_logistic"] = "text_logistic"
    C: float = Field(1.0, gt=0, description="inverse of the L2 penalty")


class TextLogistic(Pointwise):
    Config = PointwiseTextConfig
    INFO = ModelInfo(
        "Logistic regression on text",
        "logistic regression on products of the user's and the item's frozen text profile", "text", needs_clock=True,
    )  # fmt: skip
    collaborative = False

    def estimate(self, rows: Floats, label: npt.NDArray[np.bool_], seed: int) -> None:
        self._model = LinearModel.logistic(rows, label, self.config.C)

    def probability(self, rows: Floats) -> npt.NDArray[np.float64]:
        return self._model.probability(rows)

    def state(self) -> Arrays:
        return super().state() | self._model.arrays()

    def restore(self, arrays: Arrays, data: FitData) -> None:
        super().restore(arrays, data)
        self._model = LinearModel.of(arrays)
