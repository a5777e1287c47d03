"""Gradient-boosted trees on dense features."""

from typing import Any, Literal

import lightgbm
import numpy as np
from pydantic import Field

from llmrec.features.dataset.rows import Examples
from llmrec.models.attribution import Doubles, by_family
from llmrec.models.base import Arrays, FitData, Floats, ModelInfo
from llmrec.models.boosting import booster_bytes, booster_of, grow
from llmrec.models.rankers.columns import ColumnsConfig, ColumnsRanker


class BoostedRankerConfig(ColumnsConfig):
    name: Literal["boosted"] = "boosted"
    rounds: int = Field(300, ge=1, description="at most; the held-out rows choose how many")
    learning_rate: float = Field(0.05, gt=0)
    leaves: int = Field(15, ge=2)


class BoostedRanker(ColumnsRanker):
    """Log loss, row by row."""

    Config = BoostedRankerConfig
    INFO = ModelInfo("Boosted trees", "gradient-boosted trees over the dense features", "features",
                     "Ke et al., NeurIPS 2017", output="probability")  # fmt: skip
    objective = "binary"
    _trees: lightgbm.Booster

    def fit(self, rows: Examples, held_out: Examples | None, seed: int) -> dict[str, Any]:
        held = None if held_out is None else (self.read(held_out), held_out.click, None)
        self._trees = grow(
            self.read(rows), rows.click, objective=self.objective, rounds=self.config.rounds, seed=seed, held_out=held,
            num_leaves=self.config.leaves, learning_rate=self.config.learning_rate,
        )  # fmt: skip
        return {"rounds": self._trees.best_iteration or self.config.rounds}

    def logits(self, rows: Examples) -> Floats:
        return np.asarray(self._trees.predict(self.read(rows), raw_score=True, num_threads=1), np.float32)

    def attributions(self, rows: Examples) -> dict[str, Doubles]:
        """Shapley values of the trees, exactly (Lundberg et al., Nature Machine Intelligence 2020)."""
        found = self._trees.predict(self.read(rows), pred_contrib=True, num_threads=1)
        return by_family(self.families(), np.asarray(found)[:, :-1])  # the last is the same for all rows

    def state(self) -> Arrays:
        return {"trees": booster_bytes(self._trees)}

    def restore(self, arrays: Arrays, data: FitData) -> None:
        self._trees = booster_of(arrays["trees"])
