"""A conditional logit (McFadden, 1974) over [retrieval scores, click logit, log popularity as of now by window].

How much to trust each is fitted on the queries of [T1, T2), that no model has seen.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from llmrec.models.base import ModelInfo
from llmrec.models.blenders.prior_correction import BlenderConfig, PriorCorrection
from llmrec.models.linear import fit_weights


class ConditionalLogitConfig(BlenderConfig):
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
