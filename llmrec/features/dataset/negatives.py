"""Negatives: sampled once per click, by popularity as of its time, among items known then and new to the user."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from llmrec.features.arrays import Bools, Ints
from llmrec.features.asof.events import n_before
from llmrec.features.asof.history import History
from llmrec.features.asof.history_data import HistoryData

Hashes = npt.NDArray[np.uint64]
#: Draws per negative before the allowed items are listed one by one.
_DRAWS = 50


def mix(values: Hashes) -> Hashes:
    """Finaliser of splitmix64 (Steele et al. 2014): equal on every machine, whatever the order of rows."""
    values = values + np.uint64(0x9E3779B97F4A7C15)
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed: Hashes = values ^ (values >> np.uint64(31))
    return mixed


@dataclass(frozen=True)
class NegativeSampler:
    """Draws items with probability (events before t + 1), so that known items without events occur too.

    A draw takes an event before t, or a known item, at random; both are prefixes of fixed lists, so nothing after t
    and no partitioning of the work can change it.
    """

    times: Ints  # (E,) ms, ascending
    event_items: Ints  # (E,) item rows
    known_times: Ints  # (K,) ms, ascending
    known_items: Ints  # (K,) item rows in the order in which they became known
    pair_keys: Ints  # (P,) ascending, user * n_items + item
    pair_times: Ints  # (P,) ms of that pair's first event
    n_items: int
    seed: int
    exclude_seen: bool = True  # False: only what the user takes at that very time is no negative, keys are `taken_at`

    @classmethod
    def of(cls, history: History, seed: int, pairs: tuple[Ints, Ints] | None = None) -> "NegativeSampler":
        """`pairs`: what `first_of_pairs` gives, where it was made before."""
        data = history.data
        known = np.argsort(history.known_since[1:], kind="stable") + 1
        return cls(data.times, data.item_rows, history.known_since[known], known, *(pairs or first_of_pairs(data)),
                   len(history.item_ids), seed, history.settings.exclude_seen)  # fmt: skip

    def sample(self, user_rows: Ints, times: Ints, event_order: Hashes, n: int, given: Ints | None = None) -> Ints:
        """(Q, n) distinct item rows; 0 where fewer items are allowed.

        Args:
            event_order: (Q,) hash of each click, which with the seed decides the draw.
            given: (Q, n) rows that are taken already, 0 where one is to be drawn.
        """
        chosen = np.zeros((len(times), n), np.int64) if given is None else given.copy()
        events = n_before(self.times, times)
        known = n_before(self.known_times, times)
        base = mix(event_order ^ mix(np.full(len(times), self.seed, np.uint64)))
        for slot in range(n):
            open_ = np.flatnonzero((known > 0) & (chosen[:, slot] == 0))
            for draw in range(_DRAWS):
                stream = mix(base[open_] + np.uint64(slot * _DRAWS + draw))
                item = self._drawn(stream, events[open_], known[open_])
                good = ~self.had(user_rows[open_], item, times[open_]) & (chosen[open_] != item[:, None]).all(axis=1)
                chosen[open_[good], slot] = item[good]
                open_ = open_[~good]
                if not len(open_):
                    break
            for q in open_:
                chosen[q, slot] = self._listed(user_rows[q], times[q], base[q] + np.uint64(slot), chosen[q])
        return chosen

    def _drawn(self, stream: Hashes, events: Ints, known: Ints) -> Ints:
        place = (stream % (events + known).astype(np.uint64)).astype(np.int64)
        from_events = place < events
        item: Ints = self.known_items[np.where(from_events, 0, place - events)]
        if len(self.event_items):
            item = np.where(from_events, self.event_items[np.where(from_events, place, 0)], item)
        return item

    def had(self, user_rows: Ints, items: Ints, times: Ints) -> Bools:
        """(Q,) whether the user reviewed the item at or before the time, or, where that may come again, at it."""
        if not len(self.pair_keys):
            return np.zeros(len(items), np.bool_)
        keys = user_rows * self.n_items + items
        if not self.exclude_seen:
            keys = taken_at(keys, times)
            place = np.searchsorted(self.pair_keys, keys).clip(0, len(self.pair_keys) - 1)
            return np.asarray(self.pair_keys[place] == keys)
        place = np.searchsorted(self.pair_keys, keys).clip(0, len(self.pair_keys) - 1)
        had: Bools = (self.pair_keys[place] == keys) & (self.pair_times[place] <= times)
        return had

    def _listed(self, user_row: int, time: int, stream: np.uint64, taken: Ints) -> int:
        """One allowed item by its weight, from the whole list; 0 where none is allowed."""
        events, known = (int(n_before(m, np.array([time]))[0]) for m in (self.times, self.known_times))
        items = self.known_items[:known]
        had = self.had(np.full(len(items), user_row), items, np.full(len(items), time))
        items = np.sort(items[~had & ~np.isin(items, taken)])
        if not len(items):
            return 0
        weight = 1 + np.bincount(self.event_items[:events], minlength=self.n_items)[items]
        total = np.cumsum(weight)
        place = int(mix(np.array([stream], np.uint64))[0]) % int(total[-1])
        return int(items[np.searchsorted(total, place, side="right")])


def first_of_pairs(data: HistoryData) -> tuple[Ints, Ints]:
    """(P,) keys of the pairs of user and item, user * n_items + item, ascending, and (P,) ms of their first events.

    Where what a user had stays a candidate: (E,) `taken_at` of every event, ascending, and nothing.
    """
    pairs = data.user_rows * len(data.item_ids) + data.item_rows
    if not data.settings.exclude_seen:
        return np.sort(taken_at(pairs, data.times)), np.zeros(0, np.int64)
    keys, first = np.unique(pairs, return_index=True)
    return keys, data.times[first]  # events are in order of time: the first is the earliest


def taken_at(pairs: Ints, times: Ints) -> Ints:
    """(n,) a hash of a pair's key and a time (ms)."""
    return mix(mix(pairs.astype(np.uint64)) ^ times.astype(np.uint64)).view(np.int64)
