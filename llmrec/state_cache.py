"""What the history says at a bundle's own clock, computed once: all items at once, users as they come.

Nothing here decides an answer: every value is what `History` and `FeatureSpec` give, kept for as long as it holds. What
holds is said by `forget_user`, `forget_item` and, for everything at once, a new cache at another clock.
"""

import threading
from collections.abc import Callable
from dataclasses import fields
from functools import partial

import cachetools
import numpy as np

from llmrec.features.arrays import Ints
from llmrec.features.asof.state import ItemState, UserState
from llmrec.models.base import ModelContext
from llmrec.models.click_rows import ItemFacts, item_facts

#: Users kept, and bytes that items' states and features may take; of a larger catalogue those asked for last stay.
MAX_USERS, MAX_ITEM_BYTES = 4_096, 512 << 20
_CHUNK = 4_096  # items computed at once
_Key = tuple[int, bytes]


class LastItems:
    """Facts of as many items as fit, those computed last, as of one time. Many threads may ask at once."""

    def __init__(self, read: Callable[[Ints], ItemFacts], n: int, capacity: int) -> None:
        """`read`: the facts of rows, as they are for as long as this stands; `n`: how many items there are."""
        self._read, self._lock, self._next = read, threading.Lock(), 0
        self._slot, self._row = np.full(n, -1, np.int64), np.full(capacity, -1, np.int64)  # of a row, and in a slot
        self._kept: ItemFacts | None = None

    def of(self, rows: Ints) -> ItemFacts:
        """As `read` has them."""
        with self._lock:
            missing = np.unique(rows[self._slot[rows] < 0])
            if len(missing) > len(self._row):
                return self._read(rows)
            if len(missing):
                self._keep(missing)
            slots = self._slot[rows]
            if self._kept is None or (slots < 0).any():  # what came pushed out what was there
                return self._read(rows)
            return self._kept.take(slots)

    def _keep(self, rows: Ints) -> None:
        made, capacity = self._read(rows), len(self._row)
        if self._kept is None:
            self._kept = made.take(np.zeros(capacity, np.int64))  # so many of the same, to be written over
        slots = (self._next + np.arange(len(rows))) % capacity
        self._next = int(slots[-1] + 1) % capacity
        left = self._row[slots]
        self._slot[left[left >= 0]] = -1
        self._row[slots], self._slot[rows] = rows, slots
        self._kept.put(slots, made)


class StateCache:
    """States as of `clock` (ms); any other time is computed as if there were no cache. Many threads may ask at once."""

    def __init__(self, context: ModelContext, clock: int, max_item_bytes: int = MAX_ITEM_BYTES) -> None:
        self.context, self.clock, self._max_item_bytes = context, clock, max_item_bytes
        self._users: cachetools.LRUCache[_Key, UserState] = cachetools.LRUCache(MAX_USERS)
        self._forgotten: frozenset[int] = frozenset()
        self._lock = threading.Lock()
        self._items = self._all_items()

    def user(self, row: int, time: int, contexts: Ints) -> UserState:
        """State (Q = 1) of the user at History row `row`, in the request's `contexts` (1, K). Not to be written to."""
        key = (row, contexts.tobytes())
        with self._lock:
            found = self._users.get(key) if time == self.clock else None
        if found is not None:
            return found
        made = self.context.history.users_at(np.array([row]), np.array([time]), contexts)
        if time == self.clock:
            with self._lock:
                self._users[key] = made
        return made

    def items(self, rows: Ints, times: Ints | int) -> ItemFacts:
        """Of the items at the History rows `rows` (I,), each at its own time or all at one."""
        if np.any(times != self.clock) or not self._forgotten.isdisjoint(rows.tolist()):
            return item_facts(self.context, rows, times)
        return self._items.of(rows) if isinstance(self._items, LastItems) else self._items.take(rows)

    def forget_user(self, row: int) -> None:
        """Something was learned of the user: whoever asks next reads the history again."""
        self._forget(lambda key, _: key[0] == row)

    def forget_item(self, row: int) -> None:
        """Something was learned of the item, so of those too who had it: it is read from the history from now on."""
        with self._lock:
            self._forgotten |= {row}
        self._forget(lambda _, state: bool((state.history == row).any()))

    def _forget(self, outdated: Callable[[_Key, UserState], bool]) -> None:
        with self._lock:
            for key in [k for k, state in self._users.items() if outdated(k, state)]:
                del self._users[key]

    def _all_items(self) -> ItemFacts | LastItems:
        n, each = len(self.context.history.item_ids), item_facts(self.context, np.zeros(1, np.int64), self.clock).nbytes
        if each * n > self._max_item_bytes:
            read = partial(item_facts, self.context, times=self.clock)
            return LastItems(read, n, max(1, self._max_item_bytes // each))
        parts = [
            item_facts(self.context, np.arange(start, min(start + _CHUNK, n)), self.clock)
            for start in range(0, n, _CHUNK)
        ]
        columns = {f.name: np.concatenate([getattr(p.state, f.name) for p in parts]) for f in fields(ItemState)}
        return ItemFacts(ItemState(**columns), np.concatenate([p.features for p in parts]))
