"""`AsOfStates`: the state of users and of items at any time, read from both logs."""

from functools import cached_property
from typing import Any

import numpy as np

from llmrec.features.arrays import Floats, Floats32, Ints
from llmrec.features.asof.events import Span, n_before
from llmrec.features.asof.history_data import HistoryData
from llmrec.features.asof.logs.entity_log import BEHAVIOUR, COLUMNS, READ, READINGS, SEQUENCES, TEXT, VECTORS, EntityLog
from llmrec.features.asof.logs.further_logs import FurtherLogs
from llmrec.features.asof.logs.profile_log import ProfileLog
from llmrec.features.asof.logs.vector_layout import VectorLayout
from llmrec.features.asof.state import ItemCounts, ItemState, UserState
from llmrec.schema import DAY_MS


class AsOfStates:
    """What everybody's events, training or not, say of a user or an item at t: only those strictly before t count.

    Row 0 of users and of items is "unknown": it has no events.
    """

    def __init__(
        self, data: HistoryData, users: EntityLog, items: EntityLog, global_stats: Floats, further: FurtherLogs,
        profiles: tuple[ProfileLog, ProfileLog],
    ) -> None:  # fmt: skip
        """`global_stats`: (E + 1, 4) numbers of stars, their sum, that of their squares, and events, before each
        event and at the end. `profiles`: of users, of items."""
        self.data, self.settings = data, data.settings
        self.users, self.items, self.global_stats, self.further = users, items, global_stats, further
        self.profiles_of_users, self.profiles_of_items = profiles

    @property
    def text_dim(self) -> int:
        return self.users.rows[VECTORS].shape[1] - 1

    @property
    def sequence_dim(self) -> int:
        return self.users.rows[SEQUENCES].shape[1]

    @property
    def reading_dim(self) -> int:
        return self.users.rows[READINGS].shape[1]

    @property
    def profile_dim(self) -> int:
        return self.profiles_of_users.dim

    @cached_property
    def known_since(self) -> Ints:
        """(n_items + 1,) ms: the item's date or its first event, whatever is earlier."""
        return np.minimum(self.items.events.first_times(), self.data.available_from)

    def users_at(self, rows: Ints, times: Ints, contexts: Ints | None = None) -> UserState:
        """State of (Q,) users, each at its own time; `contexts` (Q, K) of their requests, none if left out."""
        rows, times = np.asarray(rows, np.int64), np.asarray(times, np.int64)
        span = self.users.events.span(rows, times)
        positions, exists = self.users.events.last(span, self.settings.history_length)
        asked = np.zeros((len(rows), len(self.data.context_columns)), np.int64) if contexts is None else contexts
        told = np.where(rows < len(self.data.user_attributes), rows, 0)  # nothing is said of who came while serving
        return UserState(
            **self._common(self.users, span),
            **self.profiles_of_users.at(rows, times),
            **self._past_items(positions, exists, times),
            **self._past_events(positions, exists),
            **self.further.recent(rows, times),
            **self.further.taken(self.users.events, self.data.item_rows, rows, times),
            events=self.further.stats(self.further.users, rows, times),
            vectors=self._mean_vectors(span),
            contexts=asked,
            attributes=self.data.user_attributes[told],
        )

    def items_at(self, rows: Ints, times: Ints) -> ItemState:
        """State of (I,) items, each at its own time."""
        rows, times = np.asarray(rows, np.int64), np.asarray(times, np.int64)
        return ItemState(
            **self._common(self.items, self.items.events.span(rows, times)),
            **self.profiles_of_items.at(rows, times),
            events=self.further.stats(self.further.items, rows, times),
            vectors=self.data.vectors_of_items[rows],
            known_since=np.minimum(self.known_since[rows], times),
            description=self.data.description[rows],
            has_description=np.any(self.data.description[rows], axis=1, keepdims=True)[:, 0],
            price=self.data.price[rows],
            attributes=self.data.attributes[rows],
        )

    def item_counts(self, rows: Ints, times: Ints) -> ItemCounts:
        """Of (I,) items, each at its own time, the counts that `items_at` has too, at a fraction of its cost."""
        rows, times = np.asarray(rows, np.int64), np.asarray(times, np.int64)
        span = self.items.events.span(rows, times)
        decayed = self.items.sums[BEHAVIOUR].at(span, range(1, 1 + len(self.settings.popularity_days)))[:, :, 0]
        return ItemCounts(span.count.astype(np.float64), decayed, times, np.minimum(self.known_since[rows], times))

    def item_profiles(self, rows: Ints, times: Ints) -> Floats32:
        """(n, D) mean vector of the reviews of each item strictly before each time; zero where there are none."""
        if not self.text_dim:
            return np.zeros((len(rows), 0), np.float32)
        span = self.items.events.span(rows, times)
        return _profile(self.items.sums[TEXT].at(span, [0]))[0][:, 0]

    def everybody_at(self, times: Ints) -> Floats:
        """(Q, 4) `global_stats` of everybody's events before each time."""
        return self.global_stats[n_before(self.data.times, times)]

    def about_items(self, history: Ints, times: Ints) -> dict[str, Any]:
        """A (Q, L) history of item rows with what is known about its items at each query's time."""
        real = history > 0
        text = np.zeros((*history.shape, self.text_dim), np.float32)
        text[real] = self.item_profiles(history[real], np.broadcast_to(times[:, None], history.shape)[real])
        return {
            "history": history,
            "history_text": text,
            "history_description": self.data.description[history],
            "history_attributes": self.data.attributes[history],
            "last_vectors": self.data.vectors_of_items[history[:, -1]],
        }

    @cached_property
    def _layout(self) -> VectorLayout:
        return VectorLayout(self.data.vector_dims)

    def _past_items(self, positions: Ints, exists: Any, times: Ints) -> dict[str, Any]:
        history = np.zeros(positions.shape, np.int64)
        history[exists] = self.data.item_rows[self.users.events.order[positions[exists]]]
        return self.about_items(history, times)

    def _past_events(self, positions: Ints, exists: Any) -> dict[str, Any]:
        """When the (Q, L) last events were, their stars, and the text of the last one's sequence."""
        moments, stars = np.zeros(positions.shape, np.int64), np.full(positions.shape, np.nan, np.float32)
        moments[exists] = self.users.events.times[positions[exists]]
        stars[exists] = self.users.stars[positions[exists]]
        sequence, some = np.zeros((len(positions), self.sequence_dim), np.float32), exists[:, -1]
        sequence[some] = self.users.rows[SEQUENCES].take(positions[some, -1])
        return {"history_times": moments, "history_stars": stars, "sequence": sequence}

    def _mean_vectors(self, span: Span) -> Floats32:
        """(Q, M) mean of the vectors of the items in the span, of those that have one."""
        if COLUMNS not in self.users.sums:
            return np.zeros((len(span.rows), 0), np.float32)
        return self._layout.means(self.users.sums[COLUMNS].at(span)[:, 0])

    def _common(self, log: EntityLog, span: Span) -> dict[str, Any]:
        """What users and items have alike."""
        sums = log.sums[BEHAVIOUR].at(span)  # (Q, 1 + W, 4)
        profile, weight = _profile(log.sums[TEXT].at(span))
        first, last = log.events.first_and_last(span)
        return {
            "rows": span.rows,
            "times": span.times,
            "count": span.count.astype(np.float64),
            "window": self._windows(log, span),
            "decayed": sums[:, 1:, 0],
            "stars": sums[:, 0, 1:],
            "global_stats": self.everybody_at(span.times),
            "first": first,
            "last": last,
            "text": profile,
            "text_weight": weight,
            "text_last": self.last_profile(log, span, self.settings.profile_last),
            "reading": self._readings(log, span),
        }

    def _windows(self, log: EntityLog, span: Span) -> Floats:
        """(Q, W) events of the last days."""
        starts = [span.times - int(days * DAY_MS) for days in self.settings.popularity_days]
        counts = [span.count - log.events.span(span.rows, start).count for start in starts]
        return np.stack(counts, axis=1).astype(np.float64) if counts else np.zeros((len(span.rows), 0))

    def _readings(self, log: EntityLog, span: Span) -> Floats32:
        """(Q, 2, R) sums of what was read in the events of the span."""
        if READ not in log.sums:
            return np.zeros((len(span.rows), 2, 0), np.float32)
        return log.sums[READ].at(span).astype(np.float32)

    def last_profile(self, log: EntityLog, span: Span, n: int) -> Floats32:
        """(Q, D) mean of the last `n` reviews' vectors, of those with a text; zero where nobody asks for it."""
        if n <= 0:
            return np.zeros((len(span.rows), self.text_dim), np.float32)
        return _profile(log.sums[TEXT].last(span, n))[0]


def _profile(sums: Floats) -> tuple[Floats32, Floats32]:
    """(Q, V, D + 1) sums -> (Q, V, D) weighted means, zero where there is no weight, and (Q, V) weights."""
    weight = sums[..., -1]
    mean = sums[..., :-1] / np.where(weight > 0, weight, 1)[..., None]
    return mean.astype(np.float32), weight.astype(np.float32)
