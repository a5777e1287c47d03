"""Bias + matrix factorisation of its residual."""

from typing import Literal

import numpy as np
from pydantic import Field

from llmrec.features.asof.interactions import Floats, Ints
from llmrec.models.base import Arrays, FitData, ModelInfo
from llmrec.models.raters.bias import Bias, BiasConfig


class MatrixFactorizationConfig(BiasConfig):
    name: Literal["matrix_factorization"] = "matrix_factorization"  # type: ignore[assignment]
    ridge: float = Field(10.0, gt=0)
    factors: int = Field(8, ge=1)
    sweeps: int = Field(10, ge=1)


class MatrixFactorization(Bias):
    """Alternating ridge regressions on the biases' residual."""

    Config = MatrixFactorizationConfig
    INFO = ModelInfo("Bias + matrix factorisation", "alternating ridge on the residual", "events",
                     "Zhou et al., 2008", needs_clock=True, output="stars")  # fmt: skip

    def fit(self, data: FitData) -> None:
        super().fit(data)
        rng, (user, item, times) = np.random.default_rng(data.seed), self.of_rows(data)
        residual = self._data.stars[data.train] - self.floor(user, item, times)
        n_users, n_items, c = data.data.n_users, data.data.n_items, self.config
        self._items = np.concatenate([np.zeros((1, c.factors)), rng.normal(0, 0.1, (n_items - 1, c.factors))])
        for _ in range(c.sweeps):
            self._users = _regress(user, self._items[item], residual, n_users, c.ridge)
            self._items = _regress(item, self._users[user], residual, n_items, c.ridge)

    def predict(self, users: Ints, items: Ints, times: Ints, reviews: Ints | None = None) -> Floats:
        return np.asarray(self.floor(users, items, times) + (self._users[users] * self._items[items]).sum(axis=1))

    def state(self) -> Arrays:
        return {"users": self._users, "items": self._items}

    def restore(self, arrays: Arrays, data: FitData) -> None:
        super().restore(arrays, data)
        self._users, self._items = arrays["users"], arrays["items"]


def _regress(group: Ints, x: Floats, y: Floats, n_groups: int, ridge: float) -> Floats:
    """(n_groups, d) ridge coefficients of each group's rows; 0 where it has none."""
    gram = np.zeros((n_groups, x.shape[1], x.shape[1]))
    moment = np.zeros((n_groups, x.shape[1]))
    np.add.at(gram, group, x[:, :, None] * x[:, None, :])
    np.add.at(moment, group, x * y[:, None])
    return np.asarray(np.linalg.solve(gram + ridge * np.eye(x.shape[1]), moment[..., None])[..., 0])
