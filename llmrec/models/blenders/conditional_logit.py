"""A conditional logit (McFadden, 1974) over [retrieval scores, click logit, log popularity as of now by window].

How much to trust each is fitted on the queries of [T1, T2), that no model has seen.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field
from scipy.optimize import minimize

from llmrec.config.models import ModelConfig
from llmrec.models.base import ModelInfo
from llmrec.models.blenders.prior_correction import PriorCorrection


class ConditionalLogitConfig(ModelConfig):
    name: Literal["conditional_logit"] = "conditional_logit"
    ridge: float = Field(1.0, ge=0, description="pull of the weights, in units of each column's spread, to the prior's")


class ConditionalLogit(PriorCorrection):
    """Penalised likelihood: softmax over each query's candidates, the target being one.

    The penalty pulls the weights to those of the prior correction; without any query these are kept.
    """

    Config = ConditionalLogitConfig
    INFO = ModelInfo(
        "Conditional logit", "weights of retrieval, click logit and popularity", "features", "McFadden 1974"
    )

    def fit(self, columns: Sequence[str], values: Sequence[npt.NDArray[np.float64]], targets: Sequence[int]) -> None:
        super().fit(columns, values, targets)
        if values:
            self._weights = fit_weights(values, targets, self._weights, self.config.ridge)


def fit_weights(
    values: Sequence[npt.NDArray[np.float64]], targets: Sequence[int], start: npt.NDArray[np.float64], ridge: float
) -> npt.NDArray[np.float64]:
    """(n_columns,) from `values[q]` (N_q, n_columns) and `targets[q]`, the target's row in it."""
    centred = [v - v.mean(0) for v in values]
    spread = np.sqrt(np.mean([np.mean(c * c, axis=0) for c in centred], axis=0)) + 1e-9
    scaled = [c / spread for c in centred]
    origin = start * spread

    def objective(weights: npt.NDArray[np.float64]) -> tuple[float, npt.NDArray[np.float64]]:
        loss = 0.5 * ridge * float(np.sum((weights - origin) ** 2))
        gradient = ridge * (weights - origin)
        for x, target in zip(scaled, targets, strict=True):
            score = x @ weights
            score -= score.max()
            p = np.exp(score)
            total = p.sum()
            loss += float(np.log(total) - score[target])
            gradient += (p / total) @ x - x[target]
        return loss, gradient

    return np.asarray(minimize(objective, origin, jac=True, method="L-BFGS-B").x / spread)
