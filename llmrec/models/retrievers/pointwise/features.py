"""Pointwise rankers over hand-made features of (user, item) as of t.

Collaborative scores are out of fold by time: rows of the last stretch of training are described by item-item weights
fitted before it. At the test the weights are fitted on all training rows.
"""

from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from pydantic import Field

from llmrec.config.models import ModelConfig
from llmrec.features.asof.interactions import AsOf, Interactions, Ints, Scores
from llmrec.features.asof.text_profiles import IncludedTargetReview, Profiles, text_axes
from llmrec.features.families.item_item import ease_weights
from llmrec.features.transforms.projection import Projection
from llmrec.models.base import Arrays, FitData, Floats, Requests, Retriever
from llmrec.schema import DAY_MS

_NEGATIVES = 60
#: Share of training, the latest, that the ranker learns from: [T1, T2) of the default split.
_HELD_OUT = 1 / 9
_DAYS = (90.0, 365.0)
_EASE_L2 = 200.0


class PointwiseConfig(ModelConfig):
    text_dim: int = Field(32, ge=1, description="principal axes of the reviews")


class Pointwise(Retriever):
    """What such rankers share. `put_back` gives the mistake that the leak gap measures."""

    collaborative: ClassVar[bool] = True
    put_back: IncludedTargetReview | None = None
    _weights: Floats
    _axes: Projection | None = None

    def estimate(self, rows: Floats, label: npt.NDArray[np.bool_], seed: int) -> None:
        """Learn `label` (n,) from `rows` (n, n_features)."""
        raise NotImplementedError

    def probability(self, rows: Floats) -> npt.NDArray[np.float64]:
        """(n,)"""
        raise NotImplementedError

    def fit(self, data: FitData) -> None:
        events, train = data.data, data.train
        if self.INFO.reads == "text":
            assert data.vectors is not None
            self._axes = text_axes(data.vectors, train, self.config.text_dim)
        self._read(data)
        self._mean = self._small[train].mean(axis=0) if self._axes else np.zeros(0, np.float32)
        cut = np.quantile(events.time[train], 1 - _HELD_OUT)
        early, late = train[events.time[train] < cut], train[events.time[train] >= cut]
        self._weights = _item_weights(events, early)
        known = events.known_from[events.item[late]] < events.time[late]
        rows, label = self._training_rows(events, data.as_of, late[known], data.seed)
        self.estimate(rows, label, data.seed)
        self._weights = _item_weights(events, train)

    def _read(self, data: FitData) -> None:
        """State as of any time, from the events."""
        events = data.data
        self._event_item = events.item
        self._first = np.full(events.n_items, np.iinfo(np.int64).max)
        np.minimum.at(self._first, events.item, events.time)
        if self._axes is not None:
            assert data.vectors is not None
            self._small = self._axes(data.vectors, "review")
            self._users = Profiles(events, events.user, events.n_users, self._small)
            self._items = Profiles(events, events.item, events.n_items, self._small)

    def _training_rows(
        self, data: Interactions, as_of: AsOf, events: Ints, seed: int
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
        """Each event as a positive beside uniformly drawn items that were candidates at its time."""
        rng = np.random.default_rng(seed)
        rows, labels = [], []
        users, times = data.user[events], data.time[events]
        histories = as_of.histories(users, times)
        popularity = [as_of.popularity(times, d) for d in (None, *_DAYS)]
        for q, e in enumerate(events):
            candidates = np.flatnonzero(data.known_from < times[q])
            if data.exclude_seen:
                candidates = np.setdiff1d(candidates, histories[q].indices)
            drawn = rng.choice(candidates, min(_NEGATIVES, len(candidates)), replace=False)
            kept = np.append(data.item[e], drawn[drawn != data.item[e]])
            described = self._describe(users[q], times[q], histories[q], [p[q] for p in popularity], int(e))
            rows.append(described[kept])
            labels.append(np.arange(len(kept)) == 0)
        return np.concatenate(rows), np.concatenate(labels)

    def scores(self, requests: Requests) -> Floats:
        out = np.empty(requests.histories.shape, np.float32)
        for q, features in enumerate(self._features(requests)):
            out[q] = self.probability(features)
        return out

    def _features(self, requests: Requests) -> Iterator[npt.NDArray[np.float32]]:
        popularity = [requests.as_of.popularity(requests.times, d) for d in (None, *_DAYS)]
        events = np.full(len(requests), -1) if requests.events is None else requests.events
        for q in range(len(requests)):
            at = [p[q] for p in popularity]
            yield self._describe(requests.users[q], requests.times[q], requests.histories[q], at, int(events[q]))

    def _describe(self, user: int, time: int, history: Any, popularity: list[Scores], event: int) -> Scores:
        """(n_items, n_features) of one query; `event` is the target's row, used only where a review is put back."""
        parts = self._collaborative(time, history, popularity) if self.collaborative else []
        if self._axes is not None:
            parts += self._text(user, time, event)
        return np.stack([np.asarray(p, np.float32) for p in parts], axis=1)

    def _collaborative(self, time: int, history: Any, popularity: list[Scores]) -> list[Any]:
        n_items = history.shape[1]
        last = history.indices[-1:] if history.nnz else None  # columns are in order of time
        age = np.log1p(np.maximum((time - self._first.astype(np.float64)) / DAY_MS, 0))
        by_last = self._weights[last[0]] if last is not None else np.zeros(n_items, np.float32)
        scores = np.asarray(history @ self._weights).ravel()
        return [scores, by_last, np.full(n_items, history.nnz), age, *popularity]

    def _text(self, user: int, time: int, event: int) -> list[Any]:
        """Similarity of the user's and each item's profile, and their product by component."""
        on_user, on_item = self.put_back in ("user side", "both"), self.put_back in ("item side", "both")
        extra = np.array([event if on_user else -1])
        me, _ = self._users.at(np.array([user]), np.array([time]), extra)
        items, count = self._items.everyone_at(time)
        if on_item and event >= 0:
            target = int(self._event_item[event])
            with_it, n = self._items.at(np.array([target]), np.array([time]), np.array([event]))
            items[target], count[target] = with_it[0], n[0]
        me, items = me[0] - self._mean * bool(me.any()), items - self._mean * (count > 0)[:, None]
        norms = np.linalg.norm(items, axis=1) * np.linalg.norm(me) + 1e-9
        return [items @ me / norms, count, *(items * me).T]

    def state(self) -> Arrays:
        axes = {f"axes.{name}": values for name, values in vars(self._axes).items()} if self._axes else {}
        return {"weights": self._weights, "mean": self._mean, **axes}

    def restore(self, arrays: Arrays, data: FitData) -> None:
        self._weights, self._mean = arrays["weights"], arrays["mean"]
        axes = {n.removeprefix("axes."): v for n, v in arrays.items() if n.startswith("axes.")}
        self._axes = Projection(**axes) if axes else None
        self._read(data)


def _item_weights(data: Interactions, rows: Ints) -> Floats:
    """(n_items, n_items) by EASE; nothing for the unknown item."""
    found = ease_weights(data.matrix(rows)[1:, 1:], _EASE_L2)
    return np.pad(found, ((1, 0), (1, 0))).astype(np.float32)
