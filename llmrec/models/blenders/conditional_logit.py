"""A conditional logit (McFadden, 1974) over [retrieval scores, click logit, log popularity as of now by window].

How much to trust each is fitted on the queries of [T1, T2), that no model has seen.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from llmrec.config.models import ModelConfig
from llmrec.models.base import ModelInfo
from llmrec.models.blenders.prior_correction import LOGIT, PriorCorrection
from llmrec.models.linear import fit_weights

Doubles = npt.NDArray[np.float64]
#: Queries from which on halves of them can judge, and the length of the lists that are judged.
_GUARDED, _TOP = 40, 10


class ConditionalLogitConfig(ModelConfig):
    name: Literal["conditional_logit"] = "conditional_logit"
    guard: bool = Field(
        True,
        description="the best popularity or retriever alone where a blend fitted on the earlier half of the queries "
        "ranks the later half worse",
    )
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
            prior = self._weights
            self._weights = fit_weights(values, targets, prior, self.config.ridge)
            if self.config.guard and len(values) >= _GUARDED:
                self._guard(values, targets, prior)

    def _guard(self, values: Sequence[Doubles], targets: Sequence[int], prior: Doubles) -> None:
        """One term alone, if a blend fitted on the earlier half of the queries loses to it on the later half."""
        half, alone = len(values) // 2, np.eye(len(prior))[[name != LOGIT for name in self._columns]]
        early = fit_weights(values[:half], targets[:half], prior, self.config.ridge)
        blend = _gain(values[half:], targets[half:], early)
        chosen = max(alone, key=lambda weights: _gain(values[:half], targets[:half], weights))
        if blend < _gain(values[half:], targets[half:], chosen):
            self._weights = max(alone, key=lambda weights: _gain(values, targets, weights))


def _gain(values: Sequence[Doubles], targets: Sequence[int], weights: Doubles) -> float:
    """Sum over the lists of 1 / log2(1 + rank) of targets among the first ten; those that tie share their mean rank."""
    scores = (v @ weights for v in values)
    ranks = np.array([(s > s[t]).sum() + ((s == s[t]).sum() + 1) / 2 for s, t in zip(scores, targets, strict=True)])
    return float((1 / np.log2(1 + ranks))[ranks <= _TOP].sum())
