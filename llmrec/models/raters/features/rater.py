"""A bias floor, and what the features of a row say of the stars that it leaves."""

from abc import abstractmethod
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import Field

from llmrec.config.models import ModelConfig
from llmrec.features.asof.state import UserState
from llmrec.features.dataset.rows import Examples
from llmrec.models.base import Floats, Ints, ModelContext, Rater
from llmrec.models.click_rows import click_rows
from llmrec.models.raters.bias import Biases

_CHUNK = 1_024
Doubles = npt.NDArray[np.float64]


class FeatureRaterConfig(ModelConfig):
    damping: float = Field(10.0, gt=0, description="pseudo-ratings that pull a bias to zero")


class FeatureRater(Rater):
    """Stars = mean + item bias + user bias, as of the row's time, + `residual` of what a ranker reads of the row.

    Rows are the context's own, so that what is learned from, evaluated and served is made by the same functions.
    """

    context: ModelContext

    def __init__(self, config: Any, context: ModelContext | None = None) -> None:
        super().__init__(config, context)
        if context is None:
            raise ValueError(f"rater {config.name!r}: reads features, found no context that holds any")

    @abstractmethod
    def residual(self, rows: Examples) -> Floats:
        """(N,) stars above the floor."""

    @cached_property
    def biases(self) -> Biases:
        return Biases(self.context.interactions, self.config.damping)

    def rows_of(self, users: Ints, items: Ints, times: Ints) -> Examples:
        """N aligned rows of known users, as a ranker reads them; nothing of a row's own event."""
        history = self.context.history
        states = history.users_at(users, times, history.contexts_at(users, times))
        return click_rows(self.context, states, history.items_at(items, times))

    def labelled(self, events: Ints) -> Examples:
        """Rows of events with stars, in their order; what the floor leaves of these is the label, `click`."""
        data, parts = self.context.interactions, []
        for start in range(0, len(events), _CHUNK):
            some = events[start : start + _CHUNK]
            asked = data.user[some], data.item[some], data.time[some]
            parts.append(_with_label(self.rows_of(*asked), data.stars[some] - self.biases(*asked)))
        if not parts:
            raise ValueError(f"rater {self.config.name!r}: no review before the cut-off has stars, expected some")
        return _joined(parts)

    def predict(self, users: Ints, items: Ints, times: Ints, reviews: Ints | None = None) -> Doubles:
        found = np.asarray(self.biases(users, items, times), np.float64)
        for start in range(0, len(users), _CHUNK):
            part = slice(start, start + _CHUNK)
            found[part] += self.residual(self.rows_of(users[part], items[part], times[part]))
        return found

    def predict_for(self, user_row: int, items: Ints, time: int, user: UserState | None = None) -> Doubles:
        times = np.full(len(items), time)
        state = user if user is not None else self.context.history.users_at(np.array([user_row]), times[:1])
        rows = click_rows(self.context, state, self.context.history.items_at(items, times))
        return np.asarray(self.biases(np.full(len(items), user_row), items, times) + self.residual(rows), np.float64)


def _with_label(rows: Examples, label: Doubles) -> Examples:
    return Examples(**{**vars(rows), "click": np.asarray(label, np.float32)})


def _joined(parts: list[Examples]) -> Examples:
    """One after the other."""
    return Examples(**{name: np.concatenate([vars(p)[name] for p in parts]) for name in vars(parts[0])})
