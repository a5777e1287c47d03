"""`History`: as-of state over every event of a corpus, for the job and for the server alike.

It holds everybody's events, training or not: a query at t sees only what happened strictly before t.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from llmrec.config import FeaturesConfig
from llmrec.features.asof import BlockedSums, Bools, EntityEvents, Floats, Floats32, Ints, Span
from llmrec.features.history_data import NEVER, HistoryData, ReducedVectors, attribute_hash
from llmrec.features.ids import Ids
from llmrec.features.reduction import Reductions
from llmrec.features.state import TEXT_VARIANTS, ItemState, UserState
from llmrec.features.vectors import Layout
from llmrec.schema import CONTEXT_PREFIX, DAY_MS

LIKED_STARS, DISLIKED_STARS = 4, 2


class History:
    """As-of state. Row 0 of users and of items is "unknown": it has no events."""

    def __init__(self, data: HistoryData) -> None:
        self.data = data
        self.settings = data.settings
        self.users = EntityEvents(data.user_rows, data.times, len(data.user_ids))
        self.items = EntityEvents(data.item_rows, data.times, len(data.item_ids))
        first = np.full(len(data.item_ids), NEVER)
        np.minimum.at(first, data.item_rows, data.times)
        self.known_since: Ints = np.minimum(first, data.available_from)
        self._behaviour = _behaviour_values(data.stars)  # (E, 4)
        self._world = np.concatenate([np.zeros((1, 4)), np.cumsum(self._behaviour, axis=0, dtype=np.float64)])
        self._user_sums, self._item_sums = self._build_sums(self.users), self._build_sums(self.items)
        self._layout = Layout(data.vector_dims)
        self._vectors = self._layout.with_presence(data.vectors_of_items)  # (n_items + 1, M + columns)
        ones = np.ones((len(data.times), 1), np.float32)
        self._vector_sums = (
            BlockedSums(self.users, self._vectors, ones, (np.inf,), index=data.item_rows) if data.vector_dims else None
        )

    def _build_sums(self, events: EntityEvents) -> tuple[BlockedSums, BlockedSums]:
        days = (np.inf, *self.settings.popularity_days)
        ones = np.ones((len(self.data.times), len(days)), np.float32)
        text_days = (np.inf, self.settings.profile_days, np.inf, np.inf)
        weights = _text_weights(self.data.stars)
        return (
            BlockedSums(events, self._behaviour, ones, days),
            BlockedSums(events, self.data.vectors, weights, text_days),
        )

    @classmethod
    def build(
        cls,
        reviews: pa.Table,
        items: pa.Table,
        review_vectors: Floats32 | None = None,
        item_vectors: Floats32 | None = None,
        sequence_vectors: Floats32 | None = None,
        *,
        reductions: Reductions | None = None,
        settings: FeaturesConfig | None = None,
    ) -> "History":
        """From tables `reviews` and `items` (schema.py) and the encoder's vectors, aligned to their rows.

        Args:
            review_vectors: (n_reviews, dim); an all-zero row says that the review has no text.
            item_vectors: (n_items, dim), likewise.
            sequence_vectors: (n_reviews, dim) what the user had up to and including the review, as text.
            reductions: `text` is applied to reviews and items, `sequence` to sequences, `vector_NAME` to that column
                of `items`; they must have been fitted on training rows. Vectors without one are kept as they are.
        """
        chosen = settings or FeaturesConfig()
        vectors = (review_vectors, item_vectors, sequence_vectors)
        reduced = ReducedVectors.of(reviews, items, *vectors, reductions or {})
        return cls(HistoryData.of_tables(reviews, items, reduced, reductions or {}, chosen))

    def appended(self, reviews: pa.Table, review_vectors: Floats32 | None = None,
                 sequence_vectors: Floats32 | None = None) -> "History":  # fmt: skip
        """With more events, of known or of new users and items; existing rows keep their numbers.

        Equal to building from all events at once (a test holds it). Vectors are the encoder's, not reduced.
        """
        return History(self.data.appended(reviews, review_vectors, sequence_vectors))

    @property
    def user_ids(self) -> Ids:
        """Index = row; "" at row 0."""
        return self.data.user_ids

    @property
    def item_ids(self) -> Ids:
        """Index = row; "" at row 0."""
        return self.data.item_ids

    @property
    def text_dim(self) -> int:
        return int(self.data.vectors.shape[1]) - 1

    @property
    def sequence_dim(self) -> int:
        return int(self.data.sequences.shape[1])

    def user_rows(self, ids: Sequence[str]) -> Ints:
        """(n,) rows of the ids, 0 where unknown."""
        return self.data.user_ids.rows(ids)

    def item_rows(self, ids: Sequence[str]) -> Ints:
        """(n,) rows of the ids, 0 where unknown."""
        return self.data.item_ids.rows(ids)

    def known_items(self, time: int) -> Bools:
        """(n_items + 1,) which items are candidates at `time`: dated or first seen strictly before it."""
        known = self.known_since < time
        known[0] = False
        return known

    def seen(self, user_row: int, time: int) -> Ints:
        """(n,) item rows that the user reviewed strictly before `time`, in order of time."""
        span = self.users.span(np.array([user_row]), np.array([time]))
        return self.data.item_rows[self.users.order[span.begin[0] : span.end[0]]]

    def contexts_at(self, rows: Ints, times: Ints) -> Ints:
        """(Q, K) what the users' first events at exactly these times say of their requests; 0 where there are none.

        For the questions that an evaluation makes of events: an event's context is known before its answer.
        """
        place = self.users.span(rows, times).end
        asked = np.zeros(len(place), np.bool_)
        inside = place < self.users.offsets[np.asarray(rows) + 1]
        asked[inside] = self.users.times[place[inside]] == np.asarray(times)[inside]
        found = np.zeros((len(place), len(self.data.context_columns)), np.int64)
        found[asked] = self.data.contexts[self.users.order[place[asked]]]
        return found

    def request_contexts(self, values: Mapping[str, str]) -> Ints:
        """(1, K) of what a request says, {"device": "mobile"}; names that the corpus has no column for say nothing."""
        columns = self.data.context_columns
        named = [values.get(column.removeprefix(CONTEXT_PREFIX)) for column in columns]
        codes = [attribute_hash(c, v) if v else 0 for c, v in zip(columns, named, strict=True)]
        return np.array([codes], np.int64).reshape(1, len(columns))

    def users_at(self, rows: Ints, times: Ints, contexts: Ints | None = None) -> UserState:
        """State of (Q,) users, each at its own time; `contexts` (Q, K) of their requests, none if left out."""
        rows, times = np.asarray(rows, np.int64), np.asarray(times, np.int64)
        span = self.users.span(rows, times)
        events, exists = self.users.last(span, self.settings.history_length)
        history = np.where(exists, self._of_events(self.data.item_rows, events), 0)
        past = {
            "history_times": np.where(exists, self._of_events(self.data.times, events), 0),
            "history_stars": np.where(exists, self._of_events(self.data.stars, events), np.float32(np.nan)),
            "vectors": self._mean_vectors(span),
            "contexts": np.zeros((len(rows), len(self.data.context_columns)), np.int64)
            if contexts is None
            else contexts,
            "sequence": self._of_events(self.data.sequences, events[:, -1]) * exists[:, -1:],
        }
        return UserState(**self._common("users", span), **self._history(history, times), **past)

    def items_at(self, rows: Ints, times: Ints) -> ItemState:
        """State of (I,) items, each at its own time."""
        rows, times = np.asarray(rows, np.int64), np.asarray(times, np.int64)
        common = self._common("items", self.items.span(rows, times))
        return ItemState(
            **common,
            vectors=self.data.vectors_of_items[rows],
            known_since=np.minimum(self.known_since[rows], times),
            description=self.data.description[rows],
            has_description=np.any(self.data.description[rows], axis=1, keepdims=True)[:, 0],
            price=self.data.price[rows],
            attributes=self.data.attributes[rows],
        )

    def guest(
        self, liked_rows: Ints, text_vector: Floats32 | None, time: int, contexts: Ints | None = None
    ) -> UserState:
        """State (Q = 1) of somebody new, who liked items (oldest first) and described themself in words.

        `text_vector` (dim,) is the encoder's. The likes count as events of this moment without stars; the words
        stand for a liked review. What they had is in no text that was encoded: `sequence` is zero.
        """
        nobody = self.users_at(np.zeros(1, np.int64), np.array([time]), contexts)
        length = self.settings.history_length
        liked = np.asarray(liked_rows, np.int64)
        history = np.zeros((1, length), np.int64)
        history[0, length - len(liked[-length:]) :] = liked[-length:]
        seen = history > 0
        count = np.array([float(len(liked))])
        changes: dict[str, Any] = self._history(history, nobody.times) | {
            "count": count,
            "window": np.broadcast_to(count[:, None], nobody.window.shape),
            "decayed": np.broadcast_to(count[:, None], nobody.decayed.shape),
            "history_times": np.where(seen, time, 0),
            "vectors": self._layout.means(self._vectors[liked].sum(axis=0, dtype=np.float64)[None]),
        }
        if text_vector is not None and np.any(text_vector):
            own = self._reduced(np.asarray(text_vector, np.float32)[None])
            spoken = np.array([[v != "disliked" for v in TEXT_VARIANTS]], np.float32)
            changes |= {"text": spoken[:, :, None] * own[:, None], "text_weight": spoken}
        return replace(nobody, **changes)

    def save(self, folder_uri: str) -> None:
        """Write the events and item tables; sums are rebuilt when loading."""
        self.data.save(folder_uri)

    @classmethod
    def load(cls, folder_uri: str) -> "History":
        """What `save` wrote. Raises FileNotFoundError where it is not there."""
        return cls(HistoryData.load(folder_uri))

    def _of_events(self, column: npt.NDArray[Any], events: Ints) -> npt.NDArray[Any]:
        """`column[events]`, also where the corpus has no events at all."""
        return column[events] if len(column) else np.zeros((*events.shape, *column.shape[1:]), column.dtype)

    def _reduced(self, vectors: Floats32) -> Floats32:
        reduction = self.data.text_reduction
        return vectors if reduction is None else reduction(vectors, "review")

    def _mean_vectors(self, span: Span) -> Floats32:
        """(Q, M) mean of the vectors of the items in the span, of those that have one."""
        if self._vector_sums is None:
            return np.zeros((len(span.rows), 0), np.float32)
        return self._layout.means(self._vector_sums.at(span)[:, 0])

    def _common(self, side: Literal["users", "items"], span: Span) -> dict[str, Any]:
        events = self.users if side == "users" else self.items
        behaviour, text = self._user_sums if side == "users" else self._item_sums
        sums = behaviour.at(span)  # (Q, 1 + W, 4)
        weeks = [span.count - events.span(span.rows, span.times - int(d * DAY_MS)).count for d in self._days]
        profile, weight = _profile(text.at(span))
        seen = span.count > 0
        bounds = (np.where(seen, span.begin, 0), np.where(seen, span.end - 1, 0))
        first, last = (np.where(seen, self._of_events(events.times, b), span.times) for b in bounds)
        return {
            "rows": span.rows,
            "times": span.times,
            "count": span.count.astype(np.float64),
            "window": np.stack(weeks, axis=1).astype(np.float64) if weeks else np.zeros((len(seen), 0)),
            "decayed": sums[:, 1:, 0],
            "stars": sums[:, 0, 1:],
            "world": self._world[np.searchsorted(self.data.times, span.times, side="left")][:, [1, 2, 3, 0]],
            "first": first,
            "last": last,
            "text": profile,
            "text_weight": weight,
        }

    def _history(self, history: Ints, times: Ints) -> dict[str, Any]:
        """The (Q, L) history with what is known about its items at each query's time."""
        at = np.broadcast_to(times[:, None], history.shape)
        real = history > 0
        text = np.zeros((*history.shape, self.text_dim), np.float32)
        if self.text_dim:
            span = self.items.span(history[real], at[real])
            text[real] = _profile(self._item_sums[1].at(span, [0]))[0][:, 0]
        return {
            "history": history,
            "history_text": text,
            "history_description": self.data.description[history],
            "history_attributes": self.data.attributes[history],
            "last_vectors": self.data.vectors_of_items[history[:, -1]],
        }

    @property
    def _days(self) -> tuple[float, ...]:
        return self.settings.popularity_days


def _behaviour_values(stars: Floats32) -> Floats32:
    """(E, 4): 1, whether there are stars, the stars, their square."""
    given = ~np.isnan(stars)
    value = np.where(given, stars, 0)
    return np.stack([np.ones_like(stars), given, value, value**2], axis=1).astype(np.float32)


def _text_weights(stars: Floats32) -> Floats32:
    """(E, V) in the order of TEXT_VARIANTS; events without stars are neither liked nor disliked."""
    ones = np.ones_like(stars)
    return np.stack([ones, ones, stars >= LIKED_STARS, stars <= DISLIKED_STARS], axis=1).astype(np.float32)


def _profile(sums: Floats) -> tuple[Floats32, Floats32]:
    """(Q, V, D + 1) sums -> (Q, V, D) weighted means, zero where there is no weight, and (Q, V) weights."""
    weight = sums[..., -1]
    mean = sums[..., :-1] / np.where(weight > 0, weight, 1)[..., None]
    return mean.astype(np.float32), weight.astype(np.float32)
