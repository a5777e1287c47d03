"""Events by entity, and the one rule of what a query sees: `n_before`, events strictly before its time."""

from dataclasses import dataclass

import numpy as np

from llmrec.features.arrays import Bools, Ints

#: Events between two stored sums. A query adds at most BLOCK - 1 events to a stored sum.
BLOCK = 32
#: Later than any event.
NEVER = np.iinfo(np.int64).max


def n_before(moments: Ints, times: Ints) -> Ints:
    """(Q,) how many of the ascending `moments` (E,) lie strictly before each of `times`; an equal time is unseen."""
    found: Ints = np.searchsorted(moments, times, side="left")
    return found


@dataclass(frozen=True)
class Span:
    """Which of an entity's events a query sees: positions `begin` to `end` (exclusive), each (Q,)."""

    rows: Ints
    times: Ints
    begin: Ints
    end: Ints

    @property
    def count(self) -> Ints:
        return self.end - self.begin

    def __getitem__(self, part: slice) -> "Span":
        return Span(self.rows[part], self.times[part], self.begin[part], self.end[part])


@dataclass(frozen=True)
class EntityEvents:
    """Events grouped by entity (a user or an item), each group in time order. Make it with `of`.

    A position is an event's place in that grouping; its number is its place in everybody's order of time.
    """

    order: Ints  # (E,) position -> number
    times: Ints  # (E,) ms, by position
    keys: Ints  # (E,) by position, ascending: entity * (E + 1) + how many of everybody's events lie before its time
    offsets: Ints  # (n_rows + 1,) first position of each entity
    blocks: Ints  # (n_rows + 1,) full blocks of BLOCK events that lie before each entity
    moments: Ints  # (E,) ms of everybody's events, by number

    @classmethod
    def of(cls, rows: Ints, times: Ints, n_rows: int) -> "EntityEvents":
        """From the entity (E,), below `n_rows`, and the time (E,) ms of each event, the events in order of time."""
        order = np.argsort(rows, kind="stable").astype(np.int64, copy=False)
        mine = times[order]
        keys = rows[order] * (len(times) + 1) + n_before(times, mine)
        offsets = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=n_rows))]).astype(np.int64)
        blocks = np.concatenate([[0], np.cumsum(np.diff(offsets) // BLOCK)]).astype(np.int64)
        return cls(order, mine, keys, offsets, blocks, times)

    def __len__(self) -> int:
        return len(self.order)

    def span(self, rows: Ints, times: Ints) -> Span:
        """Events of entity `rows[q]` with time strictly below `times[q]`, for (Q,) queries."""
        end = np.searchsorted(self.keys, rows * (len(self.moments) + 1) + n_before(self.moments, times), side="left")
        return Span(rows, times, self.offsets[rows], end)

    def last(self, span: Span, length: int) -> tuple[Ints, Bools]:
        """(Q, length) positions of each query's last events, oldest first, and which of them exist."""
        positions = span.end[:, None] + np.arange(-length, 0)
        exists = positions >= span.begin[:, None]
        return np.where(exists, positions, 0), exists

    def first_and_last(self, span: Span) -> tuple[Ints, Ints]:
        """(Q,) ms of each query's first and last event; its own time where it sees none."""
        first, last, seen = span.times.copy(), span.times.copy(), span.count > 0
        first[seen], last[seen] = self.times[span.begin[seen]], self.times[span.end[seen] - 1]
        return first, last

    def first_times(self) -> Ints:
        """(n_rows,) ms of each entity's first event, NEVER where it has none."""
        begin, end = self.offsets[:-1], self.offsets[1:]
        first = np.full(len(begin), NEVER)
        first[begin < end] = self.times[begin[begin < end]]
        return first

    def blocks_of(self, rows: Ints, begin: Ints) -> Ints:
        """(n,) number of the first block of entities, whose first positions are `begin` (n,)."""
        return self.blocks[rows]

    def owners(self, positions: Ints) -> Ints:
        """(n,) entity at each position."""
        found: Ints = np.searchsorted(self.offsets, positions, side="right") - 1
        return found

    def ranges(self, size: int) -> Ints:
        """Bounds (R + 1,) of ranges of about `size` positions; an entity may be cut, a block of it never is."""
        cuts = np.arange(size, len(self), size)
        cuts -= (cuts - self.offsets[self.owners(cuts)]) % BLOCK
        return np.array([0, *np.unique(cuts[cuts > 0]), len(self)], np.int64)

    def blocks_before(self, positions: Ints) -> Ints:
        """(n,) full blocks that lie before each of the positions, which cut no block; E is one of those."""
        inside = np.minimum(self.owners(positions), len(self.offsets) - 2)
        within = (positions - self.offsets[inside]) // BLOCK
        found: Ints = self.blocks[inside] + np.minimum(within, self.blocks[inside + 1] - self.blocks[inside])
        return found


def flatten(begin: Ints, end: Ints) -> tuple[Ints, Ints]:
    """All positions of the ranges [begin, end) in a row, (T,), and where each range starts in it, (Q + 1,)."""
    lengths = end - begin
    starts = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    return np.repeat(begin - starts[:-1], lengths) + np.arange(starts[-1]), starts
