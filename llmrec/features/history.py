"""`History`: as-of state over every event of a corpus, for the job and for the server alike.

It holds everybody's events, training or not: a query at t sees only what happened strictly before t.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as save_tensors

from llmrec import storage
from llmrec.config import FeaturesConfig
from llmrec.features.asof import BlockedSums, Bools, EntityEvents, Floats, Floats32, Ints, Span
from llmrec.features.projection import TextProjection
from llmrec.features.state import TEXT_VARIANTS, ItemState, UserState
from llmrec.schema import DAY_MS
from llmrec.schema import Column as C

#: Categories kept per item, in the corpus's order; with the brand they are the item's attributes.
MAX_CATEGORIES = 8
LIKED_STARS, DISLIKED_STARS = 4, 2
_NEVER = np.iinfo(np.int64).max
_ARRAYS = "history.safetensors"
_REST = "history.json"


@dataclass(frozen=True)
class HistoryData:
    """What is stored; everything else in a History follows from it. Events are in order of (time, event_order)."""

    user_ids: list[str]
    item_ids: list[str]
    times: Ints  # (E,) ms
    event_order: npt.NDArray[np.uint64]  # (E,)
    user_rows: Ints  # (E,)
    item_rows: Ints  # (E,)
    stars: Floats32  # (E,) NaN where there are none
    vectors: Floats32  # (E, D + 1): the projected review vector, then 1 where there is a text
    available_from: Ints  # (n_items + 1,) ms; the largest int64 where known from the first event only
    description: Floats32  # (n_items + 1, D)
    price: Floats32  # (n_items + 1,) NaN where unknown
    attributes: Ints  # (n_items + 1, 1 + MAX_CATEGORIES) hashes, 0 where none
    attribute_names: dict[int, str]
    settings: FeaturesConfig
    projection: TextProjection | None = None


class History:
    """As-of state. Row 0 of users and of items is "unknown": it has no events."""

    def __init__(self, data: HistoryData) -> None:
        self.data = data
        self.settings = data.settings
        self._user_index, self._item_index = pd.Index(data.user_ids), pd.Index(data.item_ids)
        self.users = EntityEvents(data.user_rows, data.times, len(data.user_ids))
        self.items = EntityEvents(data.item_rows, data.times, len(data.item_ids))
        first = np.full(len(data.item_ids), _NEVER)
        np.minimum.at(first, data.item_rows, data.times)
        self.known_since: Ints = np.minimum(first, data.available_from)
        self._behaviour = _behaviour_values(data.stars)  # (E, 4)
        self._world = np.concatenate([np.zeros((1, 4)), np.cumsum(self._behaviour, axis=0, dtype=np.float64)])
        self._sums = {id(e): self._build_sums(e) for e in (self.users, self.items)}

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
        *,
        projection: TextProjection | None = None,
        settings: FeaturesConfig | None = None,
    ) -> "History":
        """From tables `reviews` and `items` (schema.py) and the encoder's vectors, aligned to their rows.

        Args:
            review_vectors: (n_reviews, dim); an all-zero row says that the review has no text.
            item_vectors: (n_items, dim), likewise.
            projection: applied to both; it must have been fitted on training rows. None keeps the vectors.
        """
        empty = np.zeros((reviews.num_rows, 0 if item_vectors is None else item_vectors.shape[1]), np.float32)
        vectors = empty if review_vectors is None else review_vectors
        _check_rows("review_vectors", len(vectors), reviews.num_rows)
        order = event_sort(reviews)
        reviews, vectors = reviews.take(order), vectors[order]
        users, mentioned = reviews[C.USER_ID].to_pylist(), reviews[C.ITEM_ID].to_pylist()
        user_ids = ["", *sorted(set(users) - {""})]
        item_ids = ["", *sorted((set(mentioned) | set(items[C.ITEM_ID].to_pylist())) - {""})]
        data = HistoryData(
            user_ids=user_ids,
            item_ids=item_ids,
            times=reviews[C.TIMESTAMP].to_numpy(),
            event_order=reviews[C.EVENT_ORDER].to_numpy(),
            user_rows=pd.Index(user_ids).get_indexer(users).astype(np.int64),
            item_rows=pd.Index(item_ids).get_indexer(mentioned).astype(np.int64),
            stars=reviews[C.STARS].to_pandas().to_numpy(np.float32),
            vectors=_with_presence(vectors, projection),
            settings=settings or FeaturesConfig(),
            projection=projection,
            **_item_arrays(items, pd.Index(item_ids), item_vectors, vectors.shape[1], projection),
        )
        return cls(data)

    def appended(self, reviews: pa.Table, review_vectors: Floats32 | None = None) -> "History":
        """With more events, of known or of new users and items; existing rows keep their numbers.

        Equal to building from all events at once (a test holds it). `review_vectors` are the encoder's, unprojected.
        """
        old = self.data
        dim = len(old.projection.components) if old.projection else old.vectors.shape[1] - 1
        vectors = np.zeros((reviews.num_rows, dim), np.float32) if review_vectors is None else review_vectors
        _check_rows("review_vectors", len(vectors), reviews.num_rows)
        users, items = reviews[C.USER_ID].to_pylist(), reviews[C.ITEM_ID].to_pylist()
        user_ids = [*old.user_ids, *sorted(set(users) - set(old.user_ids))]
        item_ids = [*old.item_ids, *sorted(set(items) - set(old.item_ids))]
        more = {
            "times": reviews[C.TIMESTAMP].to_numpy(),
            "event_order": reviews[C.EVENT_ORDER].to_numpy(),
            "user_rows": pd.Index(user_ids).get_indexer(users).astype(np.int64),
            "item_rows": pd.Index(item_ids).get_indexer(items).astype(np.int64),
            "stars": reviews[C.STARS].to_pandas().to_numpy(np.float32),
            "vectors": _with_presence(vectors, old.projection),
        }
        both = {name: np.concatenate([getattr(old, name), values]) for name, values in more.items()}
        order = np.lexsort((both["event_order"], both["times"]))
        new_items = len(item_ids) - len(old.item_ids)
        filled = {
            name: _extended(getattr(old, name), new_items, fill)
            for name, fill in (("available_from", _NEVER), ("description", 0), ("price", np.nan), ("attributes", 0))
        }
        changed: dict[str, Any] = {name: values[order] for name, values in both.items()} | filled
        return History(replace(old, user_ids=user_ids, item_ids=item_ids, **changed))

    @property
    def user_ids(self) -> list[str]:
        """Index = row; "" at row 0."""
        return self.data.user_ids

    @property
    def item_ids(self) -> list[str]:
        """Index = row; "" at row 0."""
        return self.data.item_ids

    @property
    def text_dim(self) -> int:
        return int(self.data.vectors.shape[1]) - 1

    def user_rows(self, ids: Sequence[str]) -> Ints:
        """(n,) rows of the ids, 0 where unknown."""
        return _rows(self._user_index, ids)

    def item_rows(self, ids: Sequence[str]) -> Ints:
        """(n,) rows of the ids, 0 where unknown."""
        return _rows(self._item_index, ids)

    def known_items(self, time: int) -> Bools:
        """(n_items + 1,) which items are candidates at `time`: dated or first seen strictly before it."""
        known = self.known_since < time
        known[0] = False
        return known

    def seen(self, user_row: int, time: int) -> Ints:
        """(n,) item rows that the user reviewed strictly before `time`, in order of time."""
        span = self.users.span(np.array([user_row]), np.array([time]))
        return self.data.item_rows[self.users.order[span.begin[0] : span.end[0]]]

    def users_at(self, rows: Ints, times: Ints) -> UserState:
        """State of (Q,) users, each at its own time."""
        rows, times = np.asarray(rows, np.int64), np.asarray(times, np.int64)
        span = self.users.span(rows, times)
        events, exists = self.users.last(span, self.settings.history_length)
        history = np.where(exists, self._of_events(self.data.item_rows, events), 0)
        past = {
            "history_times": np.where(exists, self._of_events(self.data.times, events), 0),
            "history_stars": np.where(exists, self._of_events(self.data.stars, events), np.float32(np.nan)),
        }
        return UserState(**self._common(self.users, span), **self._history(history, times), **past)

    def items_at(self, rows: Ints, times: Ints) -> ItemState:
        """State of (I,) items, each at its own time."""
        rows, times = np.asarray(rows, np.int64), np.asarray(times, np.int64)
        common = self._common(self.items, self.items.span(rows, times))
        return ItemState(
            **common,
            known_since=np.minimum(self.known_since[rows], times),
            description=self.data.description[rows],
            has_description=np.any(self.data.description[rows], axis=1, keepdims=True)[:, 0],
            price=self.data.price[rows],
            attributes=self.data.attributes[rows],
        )

    def guest(self, liked_rows: Ints, text_vector: Floats32 | None, time: int) -> UserState:
        """State (Q = 1) of somebody new, who liked items (oldest first) and described themself in words.

        `text_vector` (dim,) is the encoder's. The likes count as events of this moment without stars; the words
        stand for a liked review.
        """
        nobody = self.users_at(np.zeros(1, np.int64), np.array([time]))
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
        }
        if text_vector is not None and np.any(text_vector):
            own = self._projected(np.asarray(text_vector, np.float32)[None])
            spoken = np.array([[v != "disliked" for v in TEXT_VARIANTS]], np.float32)
            changes |= {"text": spoken[:, :, None] * own[:, None], "text_weight": spoken}
        return replace(nobody, **changes)

    def save(self, folder_uri: str) -> None:
        """Write the events and item tables; sums are rebuilt when loading."""
        data = self.data
        arrays = {k: np.ascontiguousarray(v) for k, v in vars(data).items() if isinstance(v, np.ndarray)}
        if data.projection is not None:
            arrays |= {f"projection.{k}": np.ascontiguousarray(v) for k, v in vars(data.projection).items()}
        storage.write_bytes(f"{folder_uri}/{_ARRAYS}", save_tensors(arrays))
        storage.write_json(
            f"{folder_uri}/{_REST}",
            {
                "user_ids": data.user_ids,
                "item_ids": data.item_ids,
                "attribute_names": {str(k): v for k, v in data.attribute_names.items()},
                "settings": data.settings.model_dump(),
            },
        )

    @classmethod
    def load(cls, folder_uri: str) -> "History":
        """What `save` wrote. Raises FileNotFoundError where it is not there."""
        raw, rest = storage.read_bytes(f"{folder_uri}/{_ARRAYS}"), storage.read_json(f"{folder_uri}/{_REST}")
        if raw is None or rest is None:
            raise FileNotFoundError(f"{folder_uri}: expected {_ARRAYS} and {_REST}, found them missing; run featurize")
        arrays: dict[str, Any] = load_tensors(raw)
        parts = {k.split(".")[1]: arrays.pop(k) for k in list(arrays) if k.startswith("projection.")}
        settings = FeaturesConfig.model_validate(rest.pop("settings"))
        names = {int(k): v for k, v in rest.pop("attribute_names").items()}
        projection = TextProjection(**parts) if parts else None
        return cls(HistoryData(**arrays, **rest, attribute_names=names, settings=settings, projection=projection))

    def _of_events(self, column: npt.NDArray[Any], events: Ints) -> npt.NDArray[Any]:
        """`column[events]`, also where the corpus has no events at all."""
        return column[events] if len(column) else np.zeros(events.shape, column.dtype)

    def _projected(self, vectors: Floats32) -> Floats32:
        return vectors if self.data.projection is None else self.data.projection(vectors, "review")

    def _common(self, events: EntityEvents, span: Span) -> dict[str, Any]:
        behaviour, text = self._sums[id(events)]
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
            text[real] = _profile(self._sums[id(self.items)][1].at(span, [0]))[0][:, 0]
        return {
            "history": history,
            "history_text": text,
            "history_description": self.data.description[history],
            "history_attributes": self.data.attributes[history],
        }

    @property
    def _days(self) -> tuple[float, ...]:
        return self.settings.popularity_days


def _rows(index: pd.Index, ids: Sequence[str]) -> Ints:
    rows: Ints = index.get_indexer(ids).clip(0).astype(np.int64)
    return rows


def event_sort(reviews: pa.Table) -> Ints:
    """(E,) positions that put reviews in order of (timestamp, event_order)."""
    order: Ints = np.lexsort((reviews[C.EVENT_ORDER].to_numpy(), reviews[C.TIMESTAMP].to_numpy()))
    return order


def _check_rows(name: str, found: int, expected: int) -> None:
    if found != expected:
        raise ValueError(f"{name}: found {found} rows, expected {expected}, one a row of the table it belongs to")


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


def _with_presence(vectors: Floats32, projection: TextProjection | None) -> Floats32:
    present = vectors.any(axis=1, keepdims=True).astype(np.float32)
    projected = vectors if projection is None else projection(vectors, "review")
    return np.concatenate([projected, present], axis=1).astype(np.float32)


def _extended(values: npt.NDArray[Any], n: int, fill: float) -> npt.NDArray[Any]:
    return np.concatenate([values, np.full((n, *values.shape[1:]), fill, values.dtype)])


def attribute_hash(kind: str, value: str) -> int:
    """A positive int64 that stands for `brand=...` or `category=...` on every machine."""
    digest = hashlib.sha256(f"{kind}\t{value}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1 or 1


def _item_arrays(items: pa.Table, index: pd.Index, vectors: Floats32 | None, dim: int,
                 projection: TextProjection | None) -> dict[str, Any]:  # fmt: skip
    """Item columns spread over the history's rows."""
    n, where = len(index), index.get_indexer(items[C.ITEM_ID].to_pylist())
    if vectors is not None:
        _check_rows("item_vectors", len(vectors), items.num_rows)
    width = dim if projection is None else projection.text_dim
    arrays: dict[str, Any] = {
        "available_from": np.full(n, _NEVER),
        "description": np.zeros((n, width), np.float32),
        "price": np.full(n, np.nan, np.float32),
        "attributes": np.zeros((n, 1 + MAX_CATEGORIES), np.int64),
    }
    arrays["available_from"][where] = items[C.AVAILABLE_FROM].fill_null(_NEVER).to_numpy()
    arrays["price"][where] = items[C.PRICE].to_pandas().to_numpy(np.float32)
    if vectors is not None:
        arrays["description"][where] = vectors if projection is None else projection(vectors, "item")
    arrays["attribute_names"] = _fill_attributes(arrays["attributes"], where, items)
    return arrays


def _fill_attributes(attributes: Ints, where: Ints, items: pa.Table) -> dict[int, str]:
    names: dict[int, str] = {}
    codes: dict[tuple[str, str], int] = {}
    rows = zip(where, items[C.BRAND].to_pylist(), items[C.CATEGORIES].to_pylist(), strict=True)
    for row, brand, categories in rows:
        labels = [("brand", brand)] + [("category", c) for c in (categories or [])[:MAX_CATEGORIES]]
        for slot, (kind, value) in enumerate(labels):
            if not value:
                continue
            if (kind, value) not in codes:
                codes[kind, value] = attribute_hash(kind, value)
                names[codes[kind, value]] = f"{kind}={value}"
            attributes[row, slot] = codes[kind, value]
    return names
