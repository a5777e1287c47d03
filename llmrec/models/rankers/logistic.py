"""Logistic regression on dense features."""

from typing import Any, Literal

import numpy as np
from pydantic import Field

from llmrec.features.dataset.rows import Examples
from llmrec.models.attribution import Doubles, by_family
from llmrec.models.base import Arrays, FitData, Floats, ModelInfo
from llmrec.models.linear import LinearModel
from llmrec.models.rankers.columns import ColumnsConfig, ColumnsRanker
from llmrec.models.validation import click_metrics


class LogisticConfig(ColumnsConfig):
    name: Literal["logistic"] = "logistic"
    C: float | None = Field(None, gt=0, description="inverse of the L2 penalty; unset: the held-out rows choose")


class PopularityRankerConfig(LogisticConfig):
    name: Literal["popularity"] = "popularity"  # type: ignore[assignment]
    families: tuple[str, ...] = ("item_popularity",)


class TextLogisticConfig(LogisticConfig):
    name: Literal["text_logistic"] = "text_logistic"  # type: ignore[assignment]
    families: tuple[str, ...] = ("text*",)


_GRID = (0.0001, 0.001, 0.01, 0.1)


class LogisticRanker(ColumnsRanker):
    Config = LogisticConfig
    INFO = ModelInfo("Logistic regression", "on the features of some families", "features", output="probability")

    def fit(self, rows: Examples, held_out: Examples | None, seed: int) -> dict[str, Any]:
        best = self.config.C or _GRID[-1]
        if held_out is not None and self.config.C is None:
            losses = [click_metrics(held_out.click, self._fitted(rows, C).probability(self.read(held_out)))["log_loss"]
                      for C in _GRID]  # fmt: skip
            best = _GRID[int(np.argmin(losses))]
        self._model = self._fitted(rows, best)
        return {"C": best}

    def _fitted(self, rows: Examples, C: float) -> LinearModel:
        return LinearModel.logistic(self.read(rows), rows.click > 0, C)

    def logits(self, rows: Examples) -> Floats:
        return self._model(self.read(rows)).astype(np.float32)

    def attributions(self, rows: Examples) -> dict[str, Doubles]:
        weights = self._model.weights / self._model.scale
        return by_family(self.families(), self.read(rows) * weights)

    def state(self) -> Arrays:
        return self._model.arrays()

    def restore(self, arrays: Arrays, data: FitData) -> None:
        self._model = LinearModel.of(arrays)


class PopularityRanker(LogisticRanker):
    Config = PopularityRankerConfig
    INFO = ModelInfo("Popularity", "logistic regression on the item's popularity as of t", "features",
                     output="probability")  # fmt: skip


class TextLogisticRanker(LogisticRanker):
    Config = TextLogisticConfig
    INFO = ModelInfo("Logistic regression on text", "on the families made from words", "features",
                     output="probability")  # fmt: skip
