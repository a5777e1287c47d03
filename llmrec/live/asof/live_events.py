"""Events by entity, among them live ones: an entity that gets one is written anew behind all others, in order of time.

A position below E is the base's; those above lie in segments, one an entity, with room behind for what comes next.
"""

import numpy as np

from llmrec.features.arrays import Ints
from llmrec.features.asof.events import BLOCK, EntityEvents, Span
from llmrec.live.asof.growing import GrowingRows, Mapped

_BITS = 28
#: Events that one entity may have at most.
MOST = (1 << _BITS) - 1


class LiveEvents(EntityEvents):
    """`EntityEvents` whose entities may be moved. Where one lies and how many it has is one number, so that both
    change at once: threads may ask while another one places events."""

    def __init__(self, base: EntityEvents) -> None:
        """`source` (a position's): its own for the base's events, E + the number of a live event for others."""
        self.base, self.n_base = base, len(base)
        self.source = GrowingRows(np.zeros(0, np.int64))  # by position − E
        self.block = GrowingRows(np.zeros(0, np.int64))  # number of the sum of each block of BLOCK positions − E
        self._times = GrowingRows(base.times)
        self._place = GrowingRows((np.asarray(base.offsets[:-1]) << _BITS) + np.diff(base.offsets))
        self.by_source = GrowingRows(base.order)  # source -> number
        values = {"order": Mapped(self.sources, self.by_source), "times": self._times}
        values |= {name: getattr(base, name) for name in ("keys", "offsets", "blocks", "moments")}
        for name, value in values.items():
            object.__setattr__(self, name, value)

    def __setattr__(self, name: str, value: object) -> None:  # the base is frozen, this one lives
        object.__setattr__(self, name, value)

    def sources(self, positions: Ints) -> Ints:
        """(n,) sources of positions."""
        found, live = positions.copy(), positions >= self.n_base
        if live.any():
            found[live] = self.source.take(positions[live] - self.n_base)
        return found

    def where(self, rows: Ints) -> tuple[Ints, Ints]:
        """(n,) first position and number of events of each entity."""
        place = self._place.take(rows)
        return place >> _BITS, place & MOST

    def span(self, rows: Ints, times: Ints) -> Span:
        begin, count = self.where(rows)
        low, high = np.zeros_like(count), count.copy()
        some = np.flatnonzero(count)
        past = self._times.take(begin[some] + count[some] - 1) < times[some]
        low[some[past]] = count[some[past]]  # mostly all of them lie before
        open_ = some[~past]
        while len(open_):
            middle = (low[open_] + high[open_]) // 2
            before = self._times.take(begin[open_] + middle) < times[open_]
            low[open_[before]], high[open_[~before]] = middle[before] + 1, middle[~before]
            open_ = open_[low[open_] < high[open_]]
        return Span(rows, times, begin, begin + low)

    def blocks_of(self, rows: Ints, begin: Ints) -> Ints:
        """Numbers for `BlockedSums.stored`, which reads them by `stored_number`: the base's, then by position."""
        live = begin >= self.n_base
        found = (begin - self.n_base) // BLOCK + self.n_base_blocks
        found[~live] = self.base.blocks[rows[~live]]
        return found

    @property
    def n_base_blocks(self) -> int:
        return int(self.base.blocks[-1])

    def stored_numbers(self, blocks: Ints) -> Ints:
        """(n,) where the sums of blocks (`blocks_of` and those behind) are stored."""
        found, live = blocks.copy(), blocks >= self.n_base_blocks
        if live.any():
            found[live] = self.block.take(blocks[live] - self.n_base_blocks)
        return found

    def add_entities(self, n: int) -> None:
        """n further rows, without events."""
        self._place.append(np.full(n, self.n_base << _BITS))

    def allocate(self, n: int) -> int:
        """The first position of a new segment for n events, n a multiple of BLOCK."""
        start = self.source.grow(n)
        self._times.grow(n)
        self.block.grow(n // BLOCK)
        return self.n_base + start

    def write(self, positions: Ints, times: Ints, sources: Ints) -> None:
        """Set what lies at positions of a segment, which nobody reads yet."""
        self._times.write(positions, times)
        self.source.write(positions - self.n_base, sources)

    def publish(self, row: int, begin: int, count: int) -> None:
        """From now on the entity's events are those; all of them have been written, and their sums."""
        self._place.write(np.array([row]), np.array([(begin << _BITS) + count]))
