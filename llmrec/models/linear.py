"""Regressions on standardised columns, as arrays; Platt scaling."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize
from scipy.special import expit
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.preprocessing import StandardScaler

Floats = npt.NDArray[np.floating[Any]]
_LEAST_SLOPE = 0.05


@dataclass(frozen=True)
class LinearModel:
    """value = ((x − mean) / scale) · weights + shift; fitted by scikit-learn."""

    mean: npt.NDArray[np.float64]  # (D,)
    scale: npt.NDArray[np.float64]
    weights: npt.NDArray[np.float64]
    shift: npt.NDArray[np.float64]  # (1,)

    @classmethod
    def _fitted(cls, model: Any, rows: Floats, target: Any) -> Self:
        scaler = StandardScaler().fit(rows)
        model.fit(scaler.transform(rows), target)
        found = (scaler.mean_, scaler.scale_, np.ravel(model.coef_), np.ravel(model.intercept_))
        return cls(*(np.asarray(values, np.float64) for values in found))

    @classmethod
    def logistic(cls, rows: Floats, label: npt.NDArray[Any], C: float) -> Self:
        """L2-penalised, `C` being the inverse of the penalty."""
        return cls._fitted(LogisticRegression(C=C, max_iter=1_000), rows, label)

    @classmethod
    def ridge(cls, rows: Floats, target: Floats, l2: float) -> Self:
        """Least squares with an L2 penalty."""
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
