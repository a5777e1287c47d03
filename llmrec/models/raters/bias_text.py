"""Bias + what the user's and the item's words say of its residual."""

from typing import Literal

import numpy as np
from pydantic import Field

from llmrec.features.asof.interactions import Floats, Ints
from llmrec.features.asof.text_profiles import IncludedTargetReview, Profiles, text_axes
from llmrec.features.transforms.projection import Projection
from llmrec.models.base import Arrays, FitData, ModelInfo
from llmrec.models.linear import LinearModel
from llmrec.models.raters.bias import Bias, BiasConfig


class BiasTextConfig(BiasConfig):
    name: Literal["bias_text"] = "bias_text"  # type: ignore[assignment]
    ridge: float = Field(1_000.0, gt=0)
    text_dim: int = Field(32, ge=1)


class BiasText(Bias):
    """Ridge regression of the residual on the user's and the item's text profile as of t.

    `put_back` lets the row's own review into a profile: the leak that the leak gap measures.
    """

    Config = BiasTextConfig
    INFO = ModelInfo("Bias + text profiles", "ridge on the residual, from profiles as of t", "text", needs_clock=True,
                     output="stars")  # fmt: skip
    put_back: IncludedTargetReview | None = None

    def fit(self, data: FitData) -> None:
        assert data.vectors is not None
        self._axes = text_axes(data.vectors, data.train, self.config.text_dim)
        super().fit(data)
        rows, stars = self.of_rows(data), self._data.stars[data.train].astype(np.float64)
        self._model = self.regress(self.inputs(*rows, data.train), stars, self.floor(*rows))

    def regress(self, inputs: Floats, stars: Floats, floor: Floats) -> LinearModel:
        """What is learned of the rows (n, D)."""
        return LinearModel.ridge(inputs, stars - floor, self.config.ridge)

    def _read(self, data: FitData) -> None:
        super()._read(data)
        assert data.vectors is not None
        small, events = self._axes(data.vectors, "review"), data.data
        self._users = Profiles(events, events.user, events.n_users, small)
        self._items = Profiles(events, events.item, events.n_items, small)

    def inputs(self, users: Ints, items: Ints, times: Ints, reviews: Ints | None) -> Floats:
        """(n, 3 · dim): user profile, item profile, their product."""
        none = np.full(len(users), -1)
        own = none if reviews is None else reviews
        user, _ = self._users.at(users, times, own if self.put_back in ("user side", "both") else none)
        item, _ = self._items.at(items, times, own if self.put_back in ("item side", "both") else none)
        return np.concatenate([user, item, user * item], axis=1)

    def predict(self, users: Ints, items: Ints, times: Ints, reviews: Ints | None = None) -> Floats:
        floor = self.floor(users, items, times)
        return np.asarray(floor + self._model(self.inputs(users, items, times, reviews)))

    def state(self) -> Arrays:
        return self._model.arrays() | {f"axes.{name}": values for name, values in vars(self._axes).items()}

    def restore(self, arrays: Arrays, data: FitData) -> None:
        self._axes = Projection(**{n.removeprefix("axes."): v for n, v in arrays.items() if n.startswith("axes.")})
        self._model = LinearModel.of(arrays)
        super().restore(arrays, data)
