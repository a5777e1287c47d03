"""User + item bias: damped means as of each row's time."""

from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from llmrec.config.models import ModelConfig
from llmrec.features.asof.events import n_before
from llmrec.features.asof.interactions import Floats, Interactions, Ints
from llmrec.features.asof.text_profiles import Profiles
from llmrec.models.base import Arrays, FitData, ModelInfo, Rater


class BiasConfig(ModelConfig):
    name: Literal["bias"] = "bias"
    damping: float = Field(10.0, gt=0, description="pseudo-ratings that pull a bias to zero")


def liked(data: Interactions) -> Interactions:
    """The same events with 1 in place of the stars of a like, 0 of others'; NaN stays."""
    likes = np.where(np.isfinite(data.stars), data.stars >= data.liked_from, np.nan).astype(np.float32)
    events = data.user, data.item, data.time, likes
    return Interactions(data.user_ids, data.item_ids, *events, data.known_from, data.liked_from)


class Biases:
    """mean + item bias + user bias before t, each shrunk by `damping` pseudo-ratings (Koren 2009, section 2.1)."""

    def __init__(self, data: Interactions, damping: float) -> None:
        self._data, self.damping = data, damping
        rated = np.isfinite(data.stars)
        values = np.nan_to_num(data.stars).astype(np.float32)
        both = np.stack([values, rated.astype(np.float32)], axis=1)
        self._times = data.time
        self._total = np.concatenate([np.zeros((1, 2)), np.cumsum(both, axis=0, dtype=np.float64)])
        self._items = Profiles(data, data.item, data.n_items, both)
        self._of_items = self.item(data.item, data.time)
        residual = np.stack([np.where(rated, values - self._of_items, 0), rated], axis=1).astype(np.float32)
        self._users = Profiles(data, data.user, data.n_users, residual)

    def mean(self, times: Ints) -> Floats:
        """(Q,) mean of all stars before each time; 0 before the first."""
        total, count = self._total[n_before(self._times, times)].T
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


class Bias(Rater):
    """A bias floor; what a subclass adds to it is fitted to its residual. Biases are state, nothing is learned."""

    Config = BiasConfig
    INFO = ModelInfo("User + item bias", "damped means as of each row's time", "events", "Koren 2009, section 2.1",
                     needs_clock=True, output="stars")  # fmt: skip
    label: ClassVar[Literal["stars", "like"]] = "stars"

    def fit(self, data: FitData) -> None:
        self._read(data)

    def _read(self, data: FitData) -> None:
        """State as of any time, from the events."""
        self._data = liked(data.data) if self.label == "like" else data.data
        self._biases = Biases(self._data, self.config.damping)

    def floor(self, users: Ints, items: Ints, times: Ints) -> Floats:
        """(n,) the biases' prediction."""
        return self._biases(users, items, times)

    def predict(self, users: Ints, items: Ints, times: Ints, reviews: Ints | None = None) -> Floats:
        return self.floor(users, items, times)

    def of_rows(self, data: FitData) -> tuple[Ints, Ints, Ints]:
        """(users, items, times) of the training rows."""
        return tuple(column[data.train] for column in (self._data.user, self._data.item, self._data.time))  # type: ignore[return-value]

    def state(self) -> Arrays:
        return {}

    def restore(self, arrays: Arrays, data: FitData) -> None:
        self._read(data)
