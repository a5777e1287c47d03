"""Stars: damped biases, matrix factorisation on top of them, and text on top of them; fitted before T2.

Biases and text profiles are state, read as of each row's time; factors and regression weights are parameters.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from llmrec.config import EvaluationConfig
from llmrec.evaluation.data.folds import Split
from llmrec.evaluation.data.interactions import Floats, Interactions, Ints
from llmrec.evaluation.data.profiles import IncludedTargetReview, Profiles, Vectors, reduced
from llmrec.evaluation.labels.metrics import star_metrics
from llmrec.evaluation.records.tables import LabelTable, ModelResult
from llmrec.evaluation.statistics.bootstrap import Bootstrap
from llmrec.evaluation.statistics.comparisons import Pair, compare

_DAMPING = (1.0, 3.0, 10.0, 30.0)
_RIDGE = (10.0, 100.0, 1_000.0, 10_000.0)
_FACTORS, _SWEEPS, _TEXT_DIM = 8, 10, 32


class Biases:
    """mean + item bias + user bias before t, each shrunk by `damping` pseudo-ratings (Koren 2009, section 2.1)."""

    def __init__(self, data: Interactions, damping: float) -> None:
        self._data, self.damping = data, damping
        rated = np.isfinite(data.stars)
        values = np.nan_to_num(data.stars).astype(np.float32)
        both = np.stack([values, rated.astype(np.float32)], axis=1)
        self._times = data.time
        self._world = np.concatenate([np.zeros((1, 2)), np.cumsum(both, axis=0, dtype=np.float64)])
        self._items = Profiles(data, data.item, data.n_items, both)
        self._of_items = self.item(data.item, data.time)
        residual = np.stack([np.where(rated, values - self._of_items, 0), rated], axis=1).astype(np.float32)
        self._users = Profiles(data, data.user, data.n_users, residual)

    def mean(self, times: Ints) -> Floats:
        """(Q,) mean of all stars before each time; 0 before the first."""
        total, count = self._world[np.searchsorted(self._times, times)].T
        return np.asarray(total / np.maximum(count, 1))

    def item(self, items: Ints, times: Ints) -> Floats:
        """(Q,) mean + item bias."""
        total, count = _sums(self._items, items, times)
        mean = self.mean(times)
        return np.asarray(mean + (total - count * mean) / (count + self.damping))

    def __call__(self, users: Ints, items: Ints, times: Ints) -> Floats:
        """(Q,) predicted stars."""
        total, count = _sums(self._users, users, times)
        return np.asarray(self.item(items, times) + total / (count + self.damping))


def _sums(profiles: Profiles, rows: Ints, times: Ints) -> tuple[Floats, Floats]:
    mean, n = profiles.at(rows, times)
    total = mean * np.maximum(n, 1)[:, None]
    return total[:, 0], total[:, 1]


@dataclass
class StarModel:
    """A bias floor, and beside it what the model adds to its residual."""

    data: Interactions
    damping: float
    ridge: float = 0.0

    def __post_init__(self) -> None:
        self.biases = Biases(self.data, self.damping)

    def fit(self, train: Ints) -> None:
        """Learn from the event rows `train`."""

    def floor(self, rows: Ints) -> Floats:
        """(n,) the biases' prediction."""
        return self.biases(self.data.user[rows], self.data.item[rows], self.data.time[rows])

    def predict(self, rows: Ints) -> Floats:
        """(n,) predicted stars of the event rows, each as of its own time."""
        return self.floor(rows)


@dataclass
class Factorized(StarModel):
    """Alternating ridge regressions on the biases' residual (Zhou et al., 2008)."""

    seed: int = 7

    def fit(self, train: Ints) -> None:
        rng = np.random.default_rng(self.seed)
        user, item = self.data.user[train], self.data.item[train]
        residual = self.data.stars[train] - self.floor(train)
        self._users = np.zeros((self.data.n_users, _FACTORS))
        self._items = rng.normal(0, 0.1, (self.data.n_items, _FACTORS))
        for _ in range(_SWEEPS):
            self._users = _regress(user, self._items[item], residual, self.data.n_users, self.ridge)
            self._items = _regress(item, self._users[user], residual, self.data.n_items, self.ridge)

    def predict(self, rows: Ints) -> Floats:
        product = (self._users[self.data.user[rows]] * self._items[self.data.item[rows]]).sum(axis=1)
        return np.asarray(self.floor(rows) + product)


def _regress(group: Ints, x: Floats, y: Floats, n_groups: int, ridge: float) -> Floats:
    """(n_groups, d) ridge coefficients of each group's rows; 0 where it has none."""
    gram = np.zeros((n_groups, x.shape[1], x.shape[1]))
    moment = np.zeros((n_groups, x.shape[1]))
    np.add.at(gram, group, x[:, :, None] * x[:, None, :])
    np.add.at(moment, group, x * y[:, None])
    return np.asarray(np.linalg.solve(gram + ridge * np.eye(x.shape[1]), moment[..., None])[..., 0])


@dataclass
class TextStars(StarModel):
    """Ridge regression of the biases' residual on the user's and the item's text profile as of t.

    `put_back` lets the row's own review into a profile: the leak that `leak.py` measures.
    """

    vectors: Vectors = field(default_factory=lambda: np.zeros((0, 1), np.float32))
    put_back: IncludedTargetReview | None = None
    seed: int = 7

    def fit(self, train: Ints) -> None:
        self._read(train)
        self._model: Any = make_pipeline(StandardScaler(), Ridge(self.ridge))
        self._model.fit(self._features(train), self.data.stars[train] - self.floor(train))

    def _read(self, train: Ints) -> None:
        """Text profiles, their dimensions reduced as the event rows `train` say."""
        small = reduced(self.vectors, train, _TEXT_DIM, self.seed)
        self._users = Profiles(self.data, self.data.user, self.data.n_users, small)
        self._items = Profiles(self.data, self.data.item, self.data.n_items, small)

    def _features(self, rows: Ints) -> Floats:
        """(n, 3 · dim): user profile, item profile, their product."""
        none = np.full(len(rows), -1)
        user, _ = self._users.at(self.data.user[rows], self.data.time[rows],
                                 rows if self.put_back in ("user side", "both") else none)  # fmt: skip
        item, _ = self._items.at(self.data.item[rows], self.data.time[rows],
                                 rows if self.put_back in ("item side", "both") else none)  # fmt: skip
        return np.concatenate([user, item, user * item], axis=1)

    def predict(self, rows: Ints) -> Floats:
        return np.asarray(self.floor(rows) + self._model.predict(self._features(rows)))


@dataclass(frozen=True)
class StarRows:
    """Event rows with stars: `fit` to choose on `validation`, `train` to fit anew, `test`."""

    fit: Ints
    validation: Ints
    train: Ints
    test: Ints

    @classmethod
    def of(cls, split: Split) -> "StarRows":
        rated = np.isfinite(split.test.data.stars)
        return cls(*(rows[rated[rows]] for rows in (
            split.validation.train, split.validation.queries.event, split.test.train, split.test.queries.event
        )))  # fmt: skip


@dataclass(frozen=True)
class Rated:
    """A fitted model's predictions of the test rows."""

    name: str
    label: str
    description: str
    predicted: npt.NDArray[np.float64]
    settings: dict[str, float]
    trials: int


def tuned(make: Any, rows: StarRows, grid: Sequence[dict[str, float]]) -> tuple[StarModel, dict[str, float]]:
    """The model with the settings of least validation RMSE, fitted on `rows.train`."""
    stars = make(**grid[0]).data.stars

    def loss(settings: dict[str, float]) -> float:
        model = make(**settings)
        model.fit(rows.fit)
        return float(np.mean((model.predict(rows.validation) - stars[rows.validation]) ** 2))

    best = min(grid, key=loss) if len(rows.validation) else grid[0]
    model = make(**best)
    model.fit(rows.train)
    return model, best


def star_models(data: Interactions, rows: StarRows, vectors: Vectors | None, seed: int) -> list[Rated]:
    """Bias, factorisation and text, each tuned; the last two stand on the tuned bias."""
    found = []
    bias, best = tuned(partial(StarModel, data), rows, [{"damping": d} for d in _DAMPING])
    found.append(Rated("bias", "User + item bias", "damped means as of each row's time", bias.predict(rows.test), best,
                       len(_DAMPING)))  # fmt: skip
    grid = [best | {"ridge": r} for r in _RIDGE]
    factors, chosen = tuned(partial(Factorized, data, seed=seed), rows, [best | {"ridge": r / 10} for r in _RIDGE])
    found.append(Rated("matrix_factorization", "Bias + matrix factorisation", "alternating ridge on the residual",
                       factors.predict(rows.test), chosen, len(grid)))  # fmt: skip
    if vectors is not None:
        text, chosen = tuned(partial(TextStars, data, vectors=vectors, seed=seed), rows, grid)
        found.append(Rated("bias_text", "Bias + text profiles", "ridge on the residual, from profiles as of t",
                           text.predict(rows.test), chosen, len(grid)))  # fmt: skip
    return found


def star_table(
    data: Interactions, rows: StarRows, models: Sequence[Rated], config: EvaluationConfig, seed: int
) -> LabelTable:
    """RMSE and MAE with intervals; every model against the bias."""
    test = rows.test
    bootstrap = Bootstrap(data.user[test], config.bootstrap, seed)
    drawn = {
        m.name: bootstrap.statistics(star_metrics(data.stars[test].astype(np.float64), m.predicted)) for m in models
    }
    pairs = [Pair(m.name, "bias", "rmse", drawn[m.name]["rmse"], drawn["bias"]["rmse"]) for m in models[1:]]
    results = [
        ModelResult(
            name=m.name, kind="baseline", label=m.label, description=m.description, settings=dict(m.settings),
            trials=m.trials, metrics={k: s.estimate(config.confidence) for k, s in drawn[m.name].items()},
        )
        for m in models
    ]  # fmt: skip
    return LabelTable(
        name="stars", information_set="point_in_time", label="stars", n_rows=len(test), n_users=bootstrap.n_users,
        description="Each rated event at t ≥ T2; biases and text profiles as of t, without the row's own review; "
        "settings chosen on [T1, T2), parameters fitted before T2.",
        models=results, comparisons=compare(pairs, config.confidence),
    )  # fmt: skip
