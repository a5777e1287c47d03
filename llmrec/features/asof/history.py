"""`History`: as-of state over every event of a corpus, for the job and for the server alike.

It holds everybody's events, training or not: a query at t sees only what happened strictly before t.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Literal

import numpy as np
import pyarrow as pa

from llmrec.config import FeaturesConfig
from llmrec.features.arrays import Bools, Floats, Floats32, Ints, map_array, write_array
from llmrec.features.asof.entity_log import (
    BEHAVIOUR,
    COLUMNS,
    SEQUENCES,
    TEXT,
    VECTORS,
    EntityLog,
    Take,
    behaviour_values,
)
from llmrec.features.asof.history_data import (
    NEVER,
    HistoryData,
    ReducedVectors,
    attribute_hash,
    event_sort,
    reduced_events,
)
from llmrec.features.asof.ids import Ids
from llmrec.features.asof.state import TEXT_VARIANTS, ItemCounts, ItemState, UserState
from llmrec.features.asof.sums import EntityEvents, Span
from llmrec.features.families.item_vectors import VectorLayout
from llmrec.features.transforms.reduction import Reductions
from llmrec.files import copy_folder, read_json, write_json
from llmrec.schema import CONTEXT_PREFIX, DAY_MS

#: Files and folders of a saved history.
USERS, ITEMS, GLOBAL_STATS, PARTS = "users", "items", "global_stats.npy", "parts.json"


class History:
    """As-of state. Row 0 of users and of items is "unknown": it has no events. Make it with `build` or `load`."""

    def __init__(
        self, data: HistoryData, users: EntityLog, items: EntityLog, global_stats: Floats, source: str = ""
    ) -> None:
        """`global_stats`: (E + 1, 4) numbers of stars, their sum, that of their squares, and events, before each
        event and at the end; `source`: the folder that all of it is mapped from."""
        self.data, self.settings = data, data.settings
        self.users, self.items = users, items
        self.global_stats, self._source = global_stats, source
        self.known_since: Ints = np.minimum(_first_events(items.events), data.available_from)
        self._layout = VectorLayout(data.vector_dims)

    @classmethod
    def of(cls, data: HistoryData, vectors: Floats32, sequences: Floats32) -> "History":
        """From arrays in memory: vectors (E, D + 1) with presence, and sequences (E, S), in order of events."""
        users = EntityEvents.of(data.user_rows, data.times, len(data.user_ids))
        items = EntityEvents.of(data.item_rows, data.times, len(data.item_ids))
        given = {VECTORS: vectors, SEQUENCES: sequences}
        return cls(
            data,
            EntityLog.of(users, data.stars, given, data.settings, columns_of(data, users)),
            EntityLog.of(items, data.stars, {VECTORS: vectors}, data.settings),
            global_stats_of(data.stars),
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
        vectors = (review_vectors, item_vectors, sequence_vectors)
        reduced = ReducedVectors.of(reviews, items, *vectors, reductions or {})
        order = event_sort(reviews)
        data = HistoryData.of_tables(reviews.take(order).combine_chunks(), items, settings or FeaturesConfig())
        data = data.described(items, reduced, reductions or {})
        return cls.of(data, reduced.reviews[order], reduced.sequences[order])

    def appended(self, reviews: pa.Table, review_vectors: Floats32 | None = None,
                 sequence_vectors: Floats32 | None = None) -> "History":  # fmt: skip
        """With more events, of known or of new users and items, in memory; existing rows keep their numbers.

        Equal to building from all events at once (a test holds it). Vectors are the encoder's, not reduced.
        """
        vectors, sequences = reduced_events(self.data, reviews.num_rows, review_vectors, sequence_vectors)
        data, order = self.data.appended(reviews)
        both = [np.concatenate([self.by_event(name), more])[order]
                for name, more in ((VECTORS, vectors), (SEQUENCES, sequences))]  # fmt: skip
        return History.of(data, *both)

    def by_event(self, name: str) -> Floats32:
        """(E, ...) what users' events gave, VECTORS or SEQUENCES, in order of events and in memory."""
        rows = self.users.rows[name]
        found = np.empty(rows.shape, np.float32)
        found[self.users.events.order] = rows.whole()
        return found

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
        return self.users.rows[VECTORS].shape[1] - 1

    @property
    def sequence_dim(self) -> int:
        return self.users.rows[SEQUENCES].shape[1]

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
        events = self.users.events
        span = events.span(np.array([user_row]), np.array([time]))
        return self.data.item_rows[events.order[span.begin[0] : span.end[0]]]

    def contexts_at(self, rows: Ints, times: Ints) -> Ints:
        """(Q, K) what the users' first events at exactly these times say of their requests; 0 where there are none.

        For the questions that an evaluation makes of events: an event's context is known before its answer.
        """
        events = self.users.events
        place = events.span(rows, times).end
        asked = np.zeros(len(place), np.bool_)
        inside = place < events.offsets[np.asarray(rows) + 1]
        asked[inside] = events.times[place[inside]] == np.asarray(times)[inside]
        found = np.zeros((len(place), len(self.data.context_columns)), np.int64)
        found[asked] = self.data.contexts[events.order[place[asked]]]
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
        events, data = self.users.events, self.data
        span = events.span(rows, times)
        last, exists = events.last(span, self.settings.history_length)
        places = last[exists]
        history, moments = np.zeros(last.shape, np.int64), np.zeros(last.shape, np.int64)
        stars = np.full(last.shape, np.nan, np.float32)
        history[exists] = data.item_rows[events.order[places]]
        moments[exists], stars[exists] = events.times[places], self.users.stars[places]
        sequence = np.zeros((len(rows), self.sequence_dim), np.float32)
        some = exists[:, -1]
        sequence[some] = self.users.rows[SEQUENCES].take(last[some, -1])
        past: dict[str, Any] = {
            "history_times": moments,
            "history_stars": stars,
            "vectors": self._mean_vectors(span),
            "contexts": np.zeros((len(rows), len(data.context_columns)), np.int64) if contexts is None else contexts,
            "sequence": sequence,
        }
        return UserState(**self._common("users", span), **self._history(history, times), **past)

    def items_at(self, rows: Ints, times: Ints) -> ItemState:
        """State of (I,) items, each at its own time."""
        rows, times = np.asarray(rows, np.int64), np.asarray(times, np.int64)
        common = self._common("items", self.items.events.span(rows, times))
        return ItemState(
            **common,
            vectors=self.data.vectors_of_items[rows],
            known_since=np.minimum(self.known_since[rows], times),
            description=self.data.description[rows],
            has_description=np.any(self.data.description[rows], axis=1, keepdims=True)[:, 0],
            price=self.data.price[rows],
            attributes=self.data.attributes[rows],
        )

    def item_counts(self, rows: Ints, times: Ints) -> ItemCounts:
        """Of (I,) items, each at its own time, the counts that `items_at` has too, at a fraction of its cost."""
        span = self.items.events.span(np.asarray(rows, np.int64), np.asarray(times, np.int64))
        decayed = self.items.sums[BEHAVIOUR].at(span, range(1, 1 + len(self._days)))[:, :, 0]
        return ItemCounts(span.count.astype(np.float64), decayed)

    def cold_start_state(
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
        shown = self._layout.with_presence(self.data.vectors_of_items[liked])
        count = np.array([float(len(liked))])
        changes: dict[str, Any] = self._history(history, nobody.times) | {
            "count": count,
            "window": np.broadcast_to(count[:, None], nobody.window.shape),
            "decayed": np.broadcast_to(count[:, None], nobody.decayed.shape),
            "history_times": np.where(seen, time, 0),
            "vectors": self._layout.means(shown.sum(axis=0, dtype=np.float64)[None]),
        }
        if text_vector is not None and np.any(text_vector):
            own = self._reduced(np.asarray(text_vector, np.float32)[None])
            spoken = np.array([[v != "disliked" for v in TEXT_VARIANTS]], np.float32)
            changes |= {"text": spoken[:, :, None] * own[:, None], "text_weight": spoken}
            changes |= {"text_last": own * bool(self.settings.profile_last)}
        return replace(nobody, **changes)

    def save(self, folder_uri: str) -> None:
        """Write all of it below the folder: running sums too, so that loading sums nothing up."""
        if self._source:
            copy_folder(self._source, folder_uri)
            return
        self.data.save(folder_uri)
        for name, log in ((USERS, self.users), (ITEMS, self.items)):
            log.save(f"{folder_uri}/{name}")
        write_array(f"{folder_uri}/{GLOBAL_STATS}", self.global_stats)
        write_json(f"{folder_uri}/{PARTS}", {USERS: 1, ITEMS: 1})

    @classmethod
    def load(cls, folder_uri: str) -> "History":
        """What `save` or the stage wrote, mapped. Raises FileNotFoundError where it is not there."""
        data, parts = HistoryData.load(folder_uri), read_json(f"{folder_uri}/{PARTS}")
        if parts is None:
            raise FileNotFoundError(f"{folder_uri}: expected {PARTS}, found none; run featurize")

        def log(name: str, rows: Sequence[str], columns: Callable[[EntityEvents], Take | None]) -> EntityLog:
            return EntityLog.load(f"{folder_uri}/{name}", data.times, parts[name], rows, data.settings, columns)

        users = log(USERS, (VECTORS, SEQUENCES), partial(columns_of, data))
        items = log(ITEMS, (VECTORS,), lambda events: None)
        return cls(data, users, items, map_array(f"{folder_uri}/{GLOBAL_STATS}"), folder_uri)

    def __reduce__(self) -> tuple[Any, ...]:
        """What is mapped travels as its address."""
        if self._source:
            return History.load, (self._source,)
        return History, (self.data, self.users, self.items, self.global_stats)

    def _reduced(self, vectors: Floats32) -> Floats32:
        reduction = self.data.text_reduction
        return vectors if reduction is None else reduction(vectors, "review")

    def _mean_vectors(self, span: Span) -> Floats32:
        """(Q, M) mean of the vectors of the items in the span, of those that have one."""
        if COLUMNS not in self.users.sums:
            return np.zeros((len(span.rows), 0), np.float32)
        return self._layout.means(self.users.sums[COLUMNS].at(span)[:, 0])

    def _common(self, name: Literal["users", "items"], span: Span) -> dict[str, Any]:
        log = self.users if name == "users" else self.items
        events = log.events
        sums = log.sums[BEHAVIOUR].at(span)  # (Q, 1 + W, 4)
        weeks = [span.count - events.span(span.rows, span.times - int(d * DAY_MS)).count for d in self._days]
        profile, weight = _profile(log.sums[TEXT].at(span))
        seen = span.count > 0
        first, last = span.times.copy(), span.times.copy()
        first[seen], last[seen] = events.times[span.begin[seen]], events.times[span.end[seen] - 1]
        return {
            "rows": span.rows,
            "times": span.times,
            "count": span.count.astype(np.float64),
            "window": np.stack(weeks, axis=1).astype(np.float64) if weeks else np.zeros((len(seen), 0)),
            "decayed": sums[:, 1:, 0],
            "stars": sums[:, 0, 1:],
            "global_stats": self.global_stats[np.searchsorted(self.data.times, span.times, side="left")],
            "first": first,
            "last": last,
            "text": profile,
            "text_weight": weight,
            "text_last": self._last_profile(log, span),
        }

    def _last_profile(self, log: EntityLog, span: Span) -> Floats32:
        """(Q, D) mean of the last reviews' vectors, of those with a text; zero where nobody asks for it."""
        if not self.settings.profile_last:
            return np.zeros((len(span.rows), self.text_dim), np.float32)
        return _profile(log.sums[TEXT].last(span, self.settings.profile_last))[0]

    def _history(self, history: Ints, times: Ints) -> dict[str, Any]:
        """The (Q, L) history with what is known about its items at each query's time."""
        at = np.broadcast_to(times[:, None], history.shape)
        real = history > 0
        text = np.zeros((*history.shape, self.text_dim), np.float32)
        if self.text_dim:
            span = self.items.events.span(history[real], at[real])
            text[real] = _profile(self.items.sums[TEXT].at(span, [0]))[0][:, 0]
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


def columns_of(data: HistoryData, users: EntityEvents) -> Take | None:
    """The vectors of the items of users' events, with presence, by position; None where items bring none."""
    return partial(_shown, data, users.order) if data.vector_dims else None


def _shown(data: HistoryData, order: Ints, positions: Ints) -> Floats32:
    vectors = data.vectors_of_items[data.item_rows[order[positions]]]
    return VectorLayout(data.vector_dims).with_presence(vectors)


def global_stats_of(stars: Floats32) -> Floats:
    """See `History`, from the stars (E,) in order of events."""
    values = behaviour_values(stars)[:, [1, 2, 3, 0]]
    return np.concatenate([np.zeros((1, 4)), np.cumsum(values, axis=0, dtype=np.float64)])


def _first_events(items: EntityEvents) -> Ints:
    """(n_rows,) ms of each entity's first event, NEVER where it has none."""
    begin, end = items.offsets[:-1], items.offsets[1:]
    first = np.full(len(begin), NEVER)
    some = begin < end
    first[some] = items.times[begin[some]]
    return first


def _profile(sums: Floats) -> tuple[Floats32, Floats32]:
    """(Q, V, D + 1) sums -> (Q, V, D) weighted means, zero where there is no weight, and (Q, V) weights."""
    weight = sums[..., -1]
    mean = sums[..., :-1] / np.where(weight > 0, weight, 1)[..., None]
    return mean.astype(np.float32), weight.astype(np.float32)
