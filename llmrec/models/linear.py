"""Regressions on standardised columns, as arrays; the conditional logit; Platt scaling."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize
from scipy.special import expit

Floats = npt.NDArray[np.floating[Any]]
_LEAST_SLOPE = 0.05
#: Of a column's spread within lists: below it the column is alike for all candidates, and its weight is not fitted.
_FLAT = 1e-6


@dataclass(frozen=True)
class LinearModel:
    """value = ((x − mean) / scale) · weights + shift; fitted by scikit-learn."""

    mean: npt.NDArray[np.float64]  # (D,)
    scale: npt.NDArray[np.float64]
    weights: npt.NDArray[np.float64]
    shift: npt.NDArray[np.float64]  # (1,)

    @classmethod
    def _fitted(cls, model: Any, rows: Floats, target: Any) -> Self:
        from sklearn.preprocessing import StandardScaler  # a second, which servers never need

        scaler = StandardScaler().fit(rows)
        model.fit(scaler.transform(rows), target)
        found = (scaler.mean_, scaler.scale_, np.ravel(model.coef_), np.ravel(model.intercept_))
        return cls(*(np.asarray(values, np.float64) for values in found))

    @classmethod
    def logistic(cls, rows: Floats, label: npt.NDArray[Any], C: float) -> Self:
        """L2-penalised, `C` being the inverse of the penalty."""
        from sklearn.linear_model import LogisticRegression

        return cls._fitted(LogisticRegression(C=C, max_iter=1_000), rows, label)

    @classmethod
    def ridge(cls, rows: Floats, target: Floats, l2: float) -> Self:
        """Least squares with an L2 penalty."""
        from sklearn.linear_model import Ridge

        return cls._fitted(Ridge(l2), rows, target)

    def __call__(self, rows: Floats) -> npt.NDArray[np.float64]:
        """(n, D) → (n,)"""
        return np.asarray(((rows - self.mean) / self.scale) @ self.weights + self.shift)

    def probability(self, rows: Floats) -> npt.NDArray[np.float64]:
        """(n,)"""
        return np.asarray(expit(self(rows)))

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        return {f"linear.{name}": values for name, values in vars(self).items()}

    @classmethod
    def of(cls, arrays: dict[str, npt.NDArray[Any]]) -> Self:
        """What `arrays` gave, among others."""
        return cls(**{n.removeprefix("linear."): v for n, v in arrays.items() if n.startswith("linear.")})


def platt(logits: Floats, label: npt.NDArray[np.float32]) -> tuple[float, float]:
    """(slope, shift) of least log loss on rows (n,) (Platt 1999). The slope stays above zero: the order is kept."""

    def loss(scaling: Floats) -> float:
        scaled = scaling[0] * logits + scaling[1]
        return float(np.mean(np.logaddexp(0, scaled) - label * scaled))

    slope, shift = minimize(loss, [1.0, 0.0], bounds=[(_LEAST_SLOPE, None), (None, None)]).x
    return float(slope), float(shift)


def fit_weights(
    values: Sequence[Floats], targets: Sequence[int], start: npt.NDArray[np.float64], ridge: float,
    offsets: Sequence[Floats] | None = None, begin: npt.NDArray[np.float64] | None = None,
) -> npt.NDArray[np.float64]:  # fmt: skip
    """(n_columns,) weights of a conditional logit: a softmax over each list's candidates, the target being one.

    `values[q]` (N_q, n_columns), `targets[q]` the target's row in it, `offsets[q]` (N_q,) what is added to the scores.
    The ridge pulls the weights, in units of each column's spread within lists, to `start`; the search begins at
    `begin`, or there.
    """
    ends = np.cumsum([0, *(len(v) for v in values)])
    rows = np.concatenate([v - v.mean(axis=0, dtype=np.float64) for v in values])
    spread = np.sqrt(np.mean([np.mean(rows[a:b] ** 2, axis=0) for a, b in pairwise(ends)], axis=0))
    flat = spread < _FLAT
    rows[:, flat], spread[flat] = 0, 1
    rows /= spread
    origin, owner = start * spread, np.repeat(np.arange(len(values)), np.diff(ends))
    at = ends[:-1] + np.asarray(targets)
    given = np.zeros(len(rows)) if offsets is None else np.concatenate(offsets)
    wanted = rows[at].sum(axis=0)

    def objective(weights: npt.NDArray[np.float64]) -> tuple[float, npt.NDArray[np.float64]]:
        score = rows @ weights + given
        score -= np.maximum.reduceat(score, ends[:-1])[owner]
        p = np.exp(score)
        total = np.add.reduceat(p, ends[:-1])
        loss = float(np.sum(np.log(total) - score[at])) + 0.5 * ridge * float(np.sum((weights - origin) ** 2))
        gradient = rows.T @ (p / total[owner]) - wanted + ridge * (weights - origin)
        return loss, np.asarray(gradient)

    found = minimize(objective, origin if begin is None else begin * spread, jac=True, method="L-BFGS-B").x
    return np.asarray(np.where(flat, start, found / spread))


def log_likelihood(scores: Floats, target: int) -> float:
    """log of the softmax of a list's scores (N,), at its target."""
    return float(scores[target] - np.logaddexp.reduce(scores))


def scaled_logit(rows: Floats, label: npt.NDArray[np.float32]) -> tuple[float, float, float]:
    """(slope, second weight, shift) of least log loss: Platt scaling of rows (n, 2) whose first column is a score."""

    def loss(scaling: Floats) -> float:
        scaled = rows @ scaling[:2] + scaling[2]
        return float(np.mean(np.logaddexp(0, scaled) - label * scaled))

    found = minimize(loss, [1.0, 0.0, 0.0], bounds=[(_LEAST_SLOPE, None), (None, None), (None, None)]).x
    return float(found[0]), float(found[1]), float(found[2])
