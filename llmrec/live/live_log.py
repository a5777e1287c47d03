"""The log of users or of items with live events placed in it: the same rows and sums as if it were built with them."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import cast

import numpy as np

from llmrec.config import FeaturesConfig
from llmrec.features.arrays import Floats, Floats32, Ints, Rows
from llmrec.features.asof.entity_log import SEQUENCES, VECTORS, ColumnsOf, EntityLog, readings_in, sums_of
from llmrec.features.asof.events import BLOCK
from llmrec.live.growing import GrowingRows, Mapped
from llmrec.live.live_events import MOST, LiveEvents

#: (n,) event numbers -> (n,) what orders events of one time.
OrderOf = Callable[[Ints], Ints]


@dataclass(frozen=True)
class LiveBatch:
    """N live events: entity, time (ms), what orders events of one time, number (E + place), stars (NaN: none)."""

    rows: Ints
    times: Ints
    orders: Ints  # uint64
    numbers: Ints
    stars: Floats32

    def take(self, index: Ints) -> "LiveBatch":
        return LiveBatch(*(getattr(self, name)[index] for name in ("rows", "times", "orders", "numbers", "stars")))


class LiveLog:
    """`log` is what `AsOfStates` reads. One thread places, many may ask at once."""

    def __init__(self, base: EntityLog, settings: FeaturesConfig, columns_of: ColumnsOf, order_of: OrderOf) -> None:
        self.events, self._order_of = LiveEvents(base.events), order_of
        sources = self.events.sources
        self._stars = GrowingRows(base.stars, np.nan)
        self._rows = {name: GrowingRows(rows) for name, rows in base.rows.items()}
        self._stored = {name: GrowingRows(sums.stored) for name, sums in base.sums.items()}
        rows = {name: cast(Rows, Mapped(sources, held)) for name, held in self._rows.items()}
        stars = cast(Floats32, Mapped(sources, self._stars))
        stored = {n: cast(Rows, Mapped(self.events.stored_numbers, held)) for n, held in self._stored.items()}
        take = rows[VECTORS].take
        sums = sums_of(self.events, stars, take, settings, columns_of(self.events), readings_in(rows), stored)
        self.log = EntityLog(self.events, stars, rows, sums)
        self._room: dict[int, int] = {}  # of each segment, by its entity

    def place(self, batch: LiveBatch) -> None:
        """Put events among those of their entities, by time and order; those of equal both, in the batch's order."""
        self.events.by_source.append(batch.numbers)
        self._stars.append(batch.stars)
        for held in self._rows.values():
            held.grow(len(batch.rows))
        by_row = np.lexsort((batch.orders, batch.times, batch.rows))
        batch = batch.take(by_row)
        starts = np.flatnonzero(np.concatenate([[True], batch.rows[1:] != batch.rows[:-1]]))
        for start, stop in zip(starts.tolist(), [*starts[1:].tolist(), len(by_row)], strict=True):
            self._place(int(batch.rows[start]), batch.take(np.arange(start, stop)))

    def speak(self, row: int, number: int, vector: Floats32) -> None:
        """The words of the entity's live event `number`, reduced and with their presence (D + 1,)."""
        self._rows[VECTORS].write(np.array([number]), vector[None])
        begin, count = (int(found[0]) for found in self.events.where(np.array([row])))
        place = np.flatnonzero(self.events.sources(np.arange(begin, begin + count)) == number)
        self._sum(begin, int(place[0]) // BLOCK, count)

    def _place(self, row: int, new: LiveBatch) -> None:
        events = self.events
        begin, count = (int(found[0]) for found in events.where(np.array([row])))
        total = count + len(new.rows)
        if total > MOST:
            raise ValueError(f"live events: an entity would have {total} events, expected at most {MOST}")
        old = np.arange(begin, begin + count)
        room = self._room.get(row, 0)
        if total <= room and self._follow(old, new):
            positions, unchanged = np.arange(begin + count, begin + total), count
            events.write(positions, new.times, new.numbers)
        else:
            times = np.concatenate([events.times[old], new.times])
            sources = np.concatenate([events.sources(old), new.numbers])
            orders = np.concatenate([self._order_of(events.order[old]), new.orders])
            merged = np.lexsort((orders, times))
            moved = np.flatnonzero(merged != np.arange(total))
            unchanged = min(count, int(moved[0])) if len(moved) else count
            old_begin, self._room[row] = begin, -(-(total + total // 2) // BLOCK) * BLOCK
            begin = events.allocate(self._room[row])
            events.write(np.arange(begin, begin + total), times[merged], sources[merged])
            self._keep_blocks(row, old_begin, begin, unchanged // BLOCK)
        self._carry_sequences(begin, unchanged, total)
        self._sum(begin, unchanged // BLOCK, total)
        events.publish(row, begin, total)

    def _follow(self, old: Ints, new: LiveBatch) -> bool:
        """Whether all new events come after the last old one."""
        if not len(old):
            return True
        last = old[-1:]
        time, order = self.events.times[last][0], self._order_of(self.events.order[last])[0]
        return bool((time, order) <= (new.times[0], new.orders[0]))

    def _keep_blocks(self, row: int, old: int, new: int, n: int) -> None:
        """The first n blocks of a segment have the sums of the one before."""
        if n:
            first = self.events.blocks_of(np.array([row]), np.array([old]))[0]
            numbers = self.events.stored_numbers(first + np.arange(n))
            self.events.block.write((new - self.events.n_base) // BLOCK + np.arange(n), numbers)

    def _sum(self, begin: int, first: int, count: int) -> None:
        """Sum the blocks from the `first`-th on of a segment of `count` events."""
        full = count // BLOCK
        if full <= first:
            return
        begins = begin + BLOCK * np.arange(first, full)
        slots = (begin - self.events.n_base) // BLOCK + np.arange(first, full)
        made: dict[str, Floats] = {}
        for name, sums in self.log.sums.items():
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

    def _carry_sequences(self, begin: int, first: int, total: int) -> None:
        """What a user had, as text, is not encoded for live events: they keep that of the event before."""
        if SEQUENCES not in self._rows or not self._rows[SEQUENCES].shape[1]:
            return
        sources = self.events.sources(np.arange(begin + max(first - 1, 0), begin + total))
        for before, source in pairwise(sources):
            if source >= self.events.n_base:
                self._rows[SEQUENCES].write(source[None], self._rows[SEQUENCES].take(before[None]))
