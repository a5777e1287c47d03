"""Gradient-boosted trees on what a bias leaves of the stars."""

from typing import Literal

import lightgbm
import numpy as np
from pydantic import Field

from llmrec.features.dataset.rows import Examples
from llmrec.models.base import Arrays, FitData, Floats, ModelInfo
from llmrec.models.boosting import booster_bytes, booster_of, grow
from llmrec.models.raters.features.rater import FeatureRater, FeatureRaterConfig


class BoostedRaterConfig(FeatureRaterConfig):
    name: Literal["boosted"] = "boosted"
    rounds: int = Field(300, ge=1, description="at most; the last rows before the cut-off choose how many")
    held_out: float = Field(0.2, gt=0, lt=1, description="share of the rows, the last ones, that choose")
    learning_rate: float = Field(0.03, gt=0)
    leaves: int = Field(8, ge=2)


class BoostedRater(FeatureRater):
    """Squared error. How many rounds is chosen on the last rows by trees of the others, then all rows are learned."""

    Config = BoostedRaterConfig
    INFO = ModelInfo("Bias + boosted trees", "trees over the dense features, on the biases' residual", "features",
                     "Ke et al., NeurIPS 2017", needs_clock=True, output="stars")  # fmt: skip
    _trees: lightgbm.Booster

    def fit(self, data: FitData) -> None:
        rows = self.labelled(data.train)
        x, y = rows.dense, rows.click
        cut = max(int(len(y) * (1 - self.config.held_out)), 1)
        rounds = self.config.rounds
        if cut < len(y):
            tried = self._grow(x[:cut], y[:cut], rounds, data.seed, (x[cut:], y[cut:], None))
            rounds = max(tried.best_iteration, 1)
        self._trees = self._grow(x, y, rounds, data.seed)

    def _grow(
        self, x: Floats, y: Floats, rounds: int, seed: int, held: tuple[Floats, Floats, None] | None = None
    ) -> lightgbm.Booster:
        return grow(
            x, y, objective="regression", rounds=rounds, seed=seed, held_out=held, num_leaves=self.config.leaves,
            learning_rate=self.config.learning_rate, boost_from_average=False,
        )  # fmt: skip

    def residual(self, rows: Examples) -> Floats:
        return np.asarray(self._trees.predict(rows.dense, num_threads=1), np.float32)

    def state(self) -> Arrays:
        return {"trees": booster_bytes(self._trees)}

    def restore(self, arrays: Arrays, data: FitData) -> None:
        self._trees = booster_of(arrays["trees"])
