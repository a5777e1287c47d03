"""Events by entity, where further ones are put: an entity that gets some is written anew, with its blocks' sums."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from llmrec.features.arrays import Floats, Floats32, Ints, Rows
from llmrec.features.asof.events import BLOCK, EntityEvents
from llmrec.features.asof.logs.sums import BlockedSums
from llmrec.live.asof.growing import GrowingRows, Mapped
from llmrec.live.asof.live_events import MOST, LiveEvents

#: (n,) event numbers -> (n, T) what orders events of one time, the first column first.
OrdersOf = Callable[[Ints], npt.NDArray[np.uint64]]


@dataclass(frozen=True)
class LiveBatch:
    """N live events: entity, time (ms), what orders those of one time, number, what each gave (NaN: nothing)."""

    rows: Ints
    times: Ints
    orders: npt.NDArray[np.uint64]  # (N, T)
    numbers: Ints
    values: Floats32

    def take(self, index: Ints) -> "LiveBatch":
        return LiveBatch(*(getattr(self, name)[index] for name in ("rows", "times", "orders", "numbers", "values")))


class LiveSegments:
    """One thread places, many may ask `events` and `sums` at once.

    What an event gave is found by its source: of the base's its position, of a live one E + its place among those.
    """

    def __init__(
        self, base: EntityEvents, values: Floats32, stored: Mapping[str, Rows], orders_of: OrdersOf
    ) -> None:  # fmt: skip
        """`values` (E,) by position, `stored` the running sums by name; whoever knows their terms fills `sums`."""
        self.events, self._orders_of = LiveEvents(base), orders_of
        self._values = GrowingRows(values, np.nan)
        self.values = cast(Floats32, Mapped(self.events.sources, self._values))
        self._stored = {name: GrowingRows(rows) for name, rows in stored.items()}
        self.stored = {n: cast(Rows, Mapped(self.events.stored_numbers, held)) for n, held in self._stored.items()}
        self.sums: dict[str, BlockedSums] = {}
        self._room: dict[int, int] = {}  # of each segment, by its entity

    def place(self, batch: LiveBatch) -> None:
        """Put events among those of their entities, by time and order; of those equal in both, old ones come first."""
        if not len(batch.rows):
            return
        sources = self.events.by_source.append(batch.numbers) + np.arange(len(batch.rows))
        self._values.append(batch.values)
        self._grow(len(batch.rows))
        by_row = np.lexsort((*_keys(batch.orders, batch.times), batch.rows))
        batch, sources = batch.take(by_row), sources[by_row]
        starts = np.flatnonzero(np.concatenate([[True], batch.rows[1:] != batch.rows[:-1]]))
        for start, stop in zip(starts.tolist(), [*starts[1:].tolist(), len(by_row)], strict=True):
            self._place(int(batch.rows[start]), batch.take(np.arange(start, stop)), sources[start:stop])

    def _grow(self, n: int) -> None:
        """Make room for what n further events give besides."""

    def _moved(self, begin: int, unchanged: int, total: int) -> None:
        """A segment was written, of whose `total` events those from `unchanged` on are new or lie elsewhere."""

    def _place(self, row: int, new: LiveBatch, new_sources: Ints) -> None:
        events = self.events
        begin, count = (int(found[0]) for found in events.where(np.array([row])))
        total = count + len(new.rows)
        if total > MOST:
            raise ValueError(f"live events: an entity would have {total} events, expected at most {MOST}")
        old = np.arange(begin, begin + count)
        room = self._room.get(row, 0)
        if total <= room and self._follow(old, new):
            positions, unchanged = np.arange(begin + count, begin + total), count
            events.write(positions, new.times, new_sources)
        else:
            times = np.concatenate([events.times[old], new.times])
            sources = np.concatenate([events.sources(old), new_sources])
            orders = np.concatenate([self._orders_of(events.order[old]), new.orders])
            merged = np.lexsort(_keys(orders, times))
            moved = np.flatnonzero(merged != np.arange(total))
            unchanged = min(count, int(moved[0])) if len(moved) else count
            old_begin, self._room[row] = begin, -(-(total + total // 2) // BLOCK) * BLOCK
            begin = events.allocate(self._room[row])
            events.write(np.arange(begin, begin + total), times[merged], sources[merged])
            self._keep_blocks(row, old_begin, begin, unchanged // BLOCK)
        self._moved(begin, unchanged, total)
        self._sum(begin, unchanged // BLOCK, total)
        events.publish(row, begin, total)

    def _follow(self, old: Ints, new: LiveBatch) -> bool:
        """Whether all new events come after the last old one."""
        if not len(old):
            return True
        last = old[-1:]
        time, orders = self.events.times[last][0], self._orders_of(self.events.order[last])[0]
        return (time, *orders) <= (new.times[0], *new.orders[0])

    def _keep_blocks(self, row: int, old: int, new: int, n: int) -> None:
        """The first n blocks of a segment have the sums of the one before."""
        if n:
            first = self.events.blocks_of(np.array([row]), np.array([old]))[0]
            numbers = self.events.stored_numbers(first + np.arange(n))
            self.events.block.write((new - self.events.n_base) // BLOCK + np.arange(n), numbers)

    def _sum(self, begin: int, first: int, count: int) -> None:
        """Sum the blocks from the `first`-th on of a segment of `count` events."""
        full = count // BLOCK
        if full <= first or not self.sums:
            return
        begins = begin + BLOCK * np.arange(first, full)
        slots = (begin - self.events.n_base) // BLOCK + np.arange(first, full)
        made: dict[str, Floats] = {}
        for name, sums in self.sums.items():
            made[name] = sums.single(begins)
            before = self._stored_before(name, slots[0]) if first else None
            for k in range(len(begins)):
                if before is not None:
                    made[name][k] += sums.carried(before[None], begins[k : k + 1])[0]
                before = made[name][k]
        numbers = {name: held.append(made[name]) for name, held in self._stored.items()}
        (number,) = set(numbers.values())  # all kinds have the same blocks
        self.events.block.write(slots, number + np.arange(len(slots)))

    def _stored_before(self, name: str, slot: int) -> Floats:
        number = self.events.block.take(np.array([slot - 1]))
        found: Floats = self._stored[name].take(number)[0]
        return found


def _keys(orders: npt.NDArray[np.uint64], times: Ints) -> tuple[Any, ...]:
    """For `lexsort`: by time, then by the columns of `orders`."""
    return (*orders.T[::-1], times)
