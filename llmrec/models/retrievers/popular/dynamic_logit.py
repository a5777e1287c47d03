"""A conditional logit whose weights drift: a Kalman filter over days of events."""

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

Doubles = npt.NDArray[np.float64]
#: Newton steps to the mode of what a day says; the first is the extended Kalman filter's.
_STEPS = 2


@dataclass(frozen=True)
class Beliefs:
    """What is believed of D weights: their mean (D,) and covariance (D, D)."""

    mean: Doubles
    covariance: Doubles

    @classmethod
    def of(cls, mean: Doubles, variance: float) -> Self:
        """Before any event."""
        return cls(mean, np.eye(len(mean)) * variance)

    def drifted(self, variance: float) -> "Beliefs":
        """After a time in which each weight may have moved by so much."""
        return Beliefs(self.mean, self.covariance + np.eye(len(self.mean)) * variance)

    def after(self, rows: Doubles, taken: Doubles) -> "Beliefs":
        """Having seen how often each of N alternatives, `rows` (N, D), was `taken` (N,): P(row) = softmax(rows · w).

        A dynamic generalised linear model (West, Harrison & Migon, JASA 1985): a normal prior, the likelihood's
        curvature at the mode.
        """
        rows, before, mean = rows - rows.mean(axis=0), np.linalg.inv(self.covariance), self.mean
        covariance, n, held = self.covariance, taken.sum(), taken @ rows
        for _ in range(_STEPS):
            score = rows @ mean
            p = np.exp(score - score.max())
            p /= p.sum()
            expected = p @ rows
            information = n * ((rows * p[:, None]).T @ rows - np.outer(expected, expected))
            covariance = np.linalg.inv(before + information)
            mean = mean + covariance @ (held - n * expected - before @ (mean - self.mean))
        return Beliefs(mean, covariance)
