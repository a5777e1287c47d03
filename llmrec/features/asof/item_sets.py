"""Sets of items that many requests share, made once: those that may be listed at a time, those that a filter passes."""

from functools import cached_property

import cachetools
import numpy as np
import numpy.typing as npt

from llmrec.features.arrays import Bools, Ints

#: Sets kept of past moments, of each kind.
_KEPT = 4


class ItemSet:
    """Which of n items belong to it: `held` (n,), not to be written to."""

    def __init__(self, held: Bools) -> None:
        self.held = held
        held.flags.writeable = False

    @cached_property
    def rows(self) -> Ints:
        """(count,) in order."""
        return np.flatnonzero(self.held)

    @cached_property
    def count(self) -> int:
        return int(np.count_nonzero(self.held))

    @cached_property
    def bits(self) -> npt.NDArray[np.uint8]:
        """(n / 8,) eight items a byte, the first one lowest."""
        return np.packbits(self.held, bitorder="little")


class ItemWindows:
    """Items that each belong from one moment on and, where `until` says so, only before another (ms)."""

    def __init__(self, since: Ints, until: Ints | None = None) -> None:
        """`since` (n,): an item belongs at t if since < t; `until` (n,): and t < until."""
        self._since, self._until = since, until
        self._begun, self._ended = np.sort(since), np.zeros(0, np.int64) if until is None else np.sort(until)
        self._made: cachetools.LRUCache[tuple[int, int], ItemSet] = cachetools.LRUCache(_KEPT)

    def at(self, time: int) -> ItemSet:
        """Made anew only where an item came or went since; safe among threads."""
        key = int(np.searchsorted(self._begun, time)), int(np.searchsorted(self._ended, time, side="right"))
        found = self._made.get(key)
        if found is None:
            held = self._since < time
            found = ItemSet(held if self._until is None else held & (time < self._until))
            self._made[key] = found
        return found
