"""Every event of a corpus as plain arrays, and what of it is known before a moment in time.

Rows are those of `History`: row 0 of users and of items is "unknown" and has no event. Events are sorted by (timestamp,
event_order). "Before t" is strict, by `events.n_before`: an event at t itself is not seen.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import scipy.sparse as sp

from llmrec.features.asof.events import EntityEvents, flatten, n_before
from llmrec.features.asof.history import History
from llmrec.features.asof.item_sets import ItemWindows
from llmrec.schema import DAY_MS, event_order, id_hash
from llmrec.schema import Column as C

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Scores = npt.NDArray[np.float32]

#: Later than every event: the query time of transductive protocols, whose histories are all training rows.
END = np.iinfo(np.int64).max


@dataclass(frozen=True)
class Interactions:
    """Events in order: `user`, `item`, `time` (ms), `stars` (NaN where there are none), all (n,)."""

    user_ids: Sequence[str]  # "" at row 0
    item_ids: Sequence[str]
    user: Ints
    item: Ints
    time: Ints
    stars: npt.NDArray[np.float32]
    known_from: Ints  # (n_items,) an item is a candidate at t if known_from < t; END at row 0
    liked_from: float = 4.0  # least stars of a like
    outcomes: npt.NDArray[np.bool_] | None = None  # (n,) which events are asked for; None: all of them
    exclude_seen: bool = True  # whether what a user had is no candidate

    @classmethod
    def of_history(cls, history: History) -> "Interactions":
        """The events that a history holds, not copied."""
        data, known = history.data, np.array(history.known_since)
        known[0] = END
        return cls(data.user_ids, data.item_ids, data.user_rows, data.item_rows, data.times, data.stars, known,
                   history.settings.liked_from, data.outcomes, history.settings.exclude_seen)  # fmt: skip

    @classmethod
    def from_arrays(
        cls,
        user_ids: Sequence[str],
        item_ids: Sequence[str],
        time: Ints,
        stars: npt.NDArray[np.float32] | None = None,
        order: npt.NDArray[np.uint64] | None = None,
        available_from: dict[str, int] | None = None,
        outcomes: npt.NDArray[np.bool_] | None = None,
        more_users: Sequence[str] = (),
    ) -> "Interactions":
        """One event a row, in any order. `available_from` may name items, `more_users` users without an event yet."""
        order = event_order(user_ids, item_ids) if order is None else order
        by_time = np.lexsort((order, time))
        available = available_from or {}
        users, user = np.unique(np.asarray([*user_ids, *more_users], dtype=object), return_inverse=True)
        items, item = np.unique(np.asarray([*item_ids, *available], dtype=object), return_inverse=True)
        user, item = (rows[: len(by_time)][by_time] + 1 for rows in (user, item))
        time = np.asarray(time, np.int64)[by_time]
        known = np.full(len(items) + 1, END, np.int64)
        np.minimum.at(known, item, time)
        known[1:] = np.minimum(known[1:], np.fromiter((available.get(i, END) for i in items), np.int64, len(items)))
        values = np.full(len(by_time), np.nan, np.float32) if stars is None else np.asarray(stars, np.float32)[by_time]
        asked = None if outcomes is None else np.asarray(outcomes)[by_time]
        return cls(("", *users), ("", *items), user, item, time, values, known, outcomes=asked)

    @classmethod
    def from_tables(
        cls, reviews: pa.Table, items: pa.Table | None = None, first: Mapping[str, int] | None = None,
        more_users: Sequence[str] = (),
    ) -> "Interactions":  # fmt: skip
        """From the corpus tables `reviews` and `items` (schemas in `llmrec.schema`).

        `first`: ms of the first event beside the reviews of an item, from which it is known at the latest.
        """
        available: dict[str, int] = {}
        if items is not None:
            dates = zip(items[C.ITEM_ID].to_pylist(), items[C.AVAILABLE_FROM].to_pylist(), strict=True)
            available = {i: END if date is None else date for i, date in dates}
        for item, time in (first or {}).items():
            available[item] = min(time, available.get(item, END))
        stars = reviews[C.STARS].to_numpy(zero_copy_only=False).astype(np.float32)
        outcomes = reviews[C.OUTCOME].to_numpy() if C.OUTCOME in reviews.column_names else None
        return cls.from_arrays(
            reviews[C.USER_ID].to_pylist(), reviews[C.ITEM_ID].to_pylist(), reviews[C.TIMESTAMP].to_numpy(), stars,
            reviews[C.EVENT_ORDER].to_numpy(), available, outcomes, more_users,
        )  # fmt: skip

    def __len__(self) -> int:
        return len(self.time)

    @property
    def asked(self) -> npt.NDArray[np.bool_]:
        """(n,) which events are asked for: the outcome's."""
        return np.ones(len(self), np.bool_) if self.outcomes is None else self.outcomes

    @property
    def n_users(self) -> int:
        """Rows of users, the unknown one among them."""
        return len(self.user_ids)

    @property
    def n_items(self) -> int:
        """Rows of items, the unknown one among them."""
        return len(self.item_ids)

    @cached_property
    def known(self) -> ItemWindows:
        """Which items are known before a time."""
        return ItemWindows(self.known_from)

    @cached_property
    def user_hash(self) -> npt.NDArray[np.uint64]:
        return id_hash(self.user_ids)

    @cached_property
    def item_hash(self) -> npt.NDArray[np.uint64]:
        return id_hash(self.item_ids)

    def matrix(self, rows: Ints) -> sp.csr_matrix:
        """(n_users, n_items) float32, 1 where one of the events `rows` joins user and item."""
        ones = np.ones(len(rows), np.float32)
        X = sp.csr_matrix((ones, (self.user[rows], self.item[rows])), shape=(self.n_users, self.n_items))
        X.data[:] = 1
        return X


class AsOf:
    """Answers "what is known before t" from the events that histories may hold."""

    #: Whether what was known before a time stays what it was.
    settled = True

    def __init__(self, data: Interactions, visible: Ints | None = None) -> None:
        """`visible`: (n_visible,) rows of `data`; None: all of them."""
        self.data = data
        self.visible = np.arange(len(data)) if visible is None else np.sort(visible)
        self._time, self._item = data.time[self.visible], data.item[self.visible]
        self._users = EntityEvents.of(data.user[self.visible], self._time, data.n_users)

    def history_lengths(self, users: Ints, times: Ints) -> Ints:
        """(Q,) how many events each user has before its time."""
        return self._users.span(users, times).count

    def histories(self, users: Ints, times: Ints) -> sp.csr_matrix:
        """(Q, n_items) float32: 1 where the user had the item before its time; columns by the time they last had it."""
        span = self._users.span(users, times)
        at, indptr = flatten(span.begin, span.end)
        found, query = self._item[self._users.order[at]], np.repeat(np.arange(len(users)), np.diff(indptr))
        _, last = np.unique((query * self.data.n_items + found)[::-1], return_index=True)
        kept = np.sort(len(found) - 1 - last)  # of an item that came again, the last time
        indptr = np.concatenate([[0], np.cumsum(np.bincount(query[kept], minlength=len(users)))])
        ones = np.ones(len(kept), np.float32)
        return sp.csr_matrix((ones, found[kept], indptr), shape=(len(users), self.data.n_items))

    def events(self, start: int, stop: int) -> tuple[Ints, Ints]:
        """(n,) times (ms) and items of everybody's events from `start` to `stop`, exclusive; in order of time."""
        part = slice(*np.searchsorted(self._time, [start, stop]).tolist())
        return self._time[part], self._item[part]

    def popularity(self, times: Ints, decay_days: float | None = None) -> Scores:
        """(Q, n_items) number of events before each time; with `decay_days` an event of age a counts exp(-a/decay)."""
        return np.asarray(self.counts(times, decay_days), np.float32)

    def counts(self, times: Ints, decay_days: float | None = None) -> Floats:
        """`popularity` before it is rounded."""
        return counts_before(self._time, self._item, self.data.n_items, times, decay_days)


def counts_before(time: Ints, item: Ints, n_items: int, times: Ints, decay_days: float | None) -> Floats:
    """(Q, n_items) of events in order of `time` (E,): see `AsOf.popularity`."""
    moments, inverse = np.unique(times, return_inverse=True)
    stop = n_before(time, moments)
    last = time[-1] + 1 if len(time) else 0
    clock = np.where(moments == END, last, moments)  # END has no distance
    zero = clock[0]
    rate = 0.0 if decay_days is None else 1 / (decay_days * DAY_MS)
    weight = np.exp((time[: stop[-1]] - zero) * rate)
    step = np.searchsorted(stop, np.arange(stop[-1]), side="right")
    counts = np.zeros((len(moments), n_items))
    np.add.at(counts, (step, item[: stop[-1]]), weight)
    counts = np.cumsum(counts, axis=0) * np.exp((zero - clock) * rate)[:, None]
    found: Floats = counts[inverse]
    return found
