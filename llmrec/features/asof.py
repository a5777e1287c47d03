"""As-of sums: per entity, events in time order with blocked cumulative sums; a query at t is a binary search.

Every query sees the events strictly below its time; an equal time is unseen. Sums are taken in event order and never
across entities, so the value at (entity, t) depends, to the last bit, on nothing but that entity's events before t.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_matrix

from llmrec.schema import DAY_MS

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Floats32 = npt.NDArray[np.float32]
Bools = npt.NDArray[np.bool_]

#: Events between two stored sums. A query adds at most BLOCK - 1 events to a stored sum.
BLOCK = 32
_CHUNK = 1 << 15  # rows whose values are widened to float64 at a time


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


class EntityEvents:
    """Events grouped by entity (a user or an item), each group in time order.

    Args:
        rows: (E,) entity of each event, the events being in global order of time.
        times: (E,) ms, ascending.
        n_rows: number of entities; `rows` are below it.
    """

    def __init__(self, rows: Ints, times: Ints, n_rows: int) -> None:
        self.order: Ints = np.argsort(rows, kind="stable")  # position -> event number
        self.times: Ints = times[self.order]
        self.offsets: Ints = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=n_rows))]).astype(np.int64)
        self._moments: Ints = np.unique(times)
        rank = np.searchsorted(self._moments, self.times)
        self._keys: Ints = rows[self.order] * (len(self._moments) + 1) + rank

    def span(self, rows: Ints, times: Ints) -> Span:
        """Events of entity `rows[q]` with time strictly below `times[q]`, for (Q,) queries."""
        before = np.searchsorted(self._moments, times, side="left")
        end = np.searchsorted(self._keys, rows * (len(self._moments) + 1) + before, side="left")
        return Span(rows, times, self.offsets[rows], end)

    def last(self, span: Span, length: int) -> tuple[Ints, Bools]:
        """(Q, length) event numbers of each query's last events, oldest first, and which of them exist."""
        positions = span.end[:, None] + np.arange(-length, 0)
        exists = positions >= span.begin[:, None]
        if not len(self.order):
            return np.zeros(positions.shape, np.int64), exists
        return np.where(exists, self.order[np.where(exists, positions, 0)], 0), exists


def flatten(begin: Ints, end: Ints) -> tuple[Ints, Ints]:
    """All positions of the ranges [begin, end) in a row, (T,), and where each range starts in it, (Q + 1,)."""
    lengths = end - begin
    starts = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    return np.repeat(begin - starts[:-1], lengths) + np.arange(starts[-1]), starts


class BlockedSums:
    """Weighted, optionally decayed sums of event values, as of any time.

    Variant v at time t is `sum_j weights[j, v] * exp(-(t - time_j) / days[v]) * values[j]` over the entity's events
    before t. A sum is stored after every BLOCK events, relative to that block's last event, so that exponents never
    grow (the scaled recursion); events after it are added at the query.

    Args:
        events: the grouping of the events.
        values: (E, D) in global event order; give a constant column to get the total weight.
        weights: (E, V) non-negative.
        days: V decay constants in days; infinity does not decay.
        index: (E,) which row of `values` is each event's, where events share rows; None: `values` has a row each.
    """

    def __init__(self, events: EntityEvents, values: npt.NDArray[np.floating], weights: Floats32,
                 days: Sequence[float], index: Ints | None = None) -> None:  # fmt: skip
        self._events, self._values, self._weights, self._index = events, values, weights, index
        self._rates: Floats = 1.0 / (np.asarray(days, np.float64) * DAY_MS)
        blocks = np.diff(events.offsets) // BLOCK
        self._first: Ints = np.concatenate([[0], np.cumsum(blocks)]).astype(np.int64)
        begin = flatten(np.zeros_like(blocks), blocks)[0] * BLOCK + np.repeat(events.offsets[:-1], blocks)
        self._stored_times: Ints = np.concatenate([[0], events.times[begin + BLOCK - 1]]).astype(np.int64)
        # (K + 1, V, D): row 0 is the empty sum
        self._stored: Floats = np.zeros((len(begin) + 1, len(self._rates), values.shape[1]))
        for start in range(0, len(begin), _CHUNK // BLOCK):
            part = begin[start : start + _CHUNK // BLOCK]
            times = self._stored_times[1 + start : 1 + start + len(part)]
            self._stored[1 + start : 1 + start + len(part)] = self._sum(part, part + BLOCK, times, range(len(days)))
        self._accumulate(blocks)

    def at(self, span: Span, variants: Sequence[int] | None = None) -> Floats:
        """(Q, V, D) sums of the events in `span` as of its times; `variants` keeps some, in that order."""
        kept = list(range(len(self._rates))) if variants is None else list(variants)
        result = np.empty((len(span.rows), len(kept), self._values.shape[1]))
        for start in range(0, len(span.rows), _CHUNK // 8):
            part = slice(start, start + _CHUNK // 8)
            result[part] = self._at(span[part], kept)
        return result

    def _at(self, span: Span, variants: Sequence[int]) -> Floats:
        blocks = span.count // BLOCK
        stored = np.where(blocks > 0, self._first[span.rows] + blocks, 0)
        age = np.where(blocks > 0, span.times - self._stored_times[stored], 0)
        decay = np.exp(-age[:, None] * self._rates[variants])
        total: Floats = self._stored[stored[:, None], np.asarray(variants)] * decay[:, :, None]
        total += self._sum(span.begin + blocks * BLOCK, span.end, span.times, variants)
        return total

    def _sum(self, begin: Ints, end: Ints, times: Ints, variants: Sequence[int]) -> Floats:
        """(Q, V, D) over the positions [begin, end), decayed to `times`; rows are added in order of time."""
        positions, starts = flatten(begin, end)
        numbers = self._events.order[positions]
        values = self._values[numbers if self._index is None else self._index[numbers]].astype(np.float64)
        age = np.repeat(times, end - begin) - self._events.times[positions]
        weights = self._weights[numbers].T[variants] * np.exp(-age * self._rates[variants, None])  # (V, T)
        runs = np.concatenate([starts[:1], *(starts[1:] + v * len(numbers) for v in range(len(variants)))])
        columns = np.tile(np.arange(len(numbers)), len(variants))
        # a sparse product adds a row's terms one after the other, whatever else is in the batch
        matrix = csr_matrix((weights.ravel(), columns, runs), shape=(len(variants) * len(begin), len(numbers)))
        sums: Floats = (matrix @ values).reshape(len(variants), len(begin), values.shape[1])
        return sums.transpose(1, 0, 2)

    def _accumulate(self, blocks: Ints) -> None:
        """Turn the sums of single blocks into running sums of each entity: one step for all its n-th blocks."""
        rank = flatten(np.zeros_like(blocks), blocks)[0]
        by_rank = np.argsort(rank, kind="stable") + 1
        ends = np.cumsum(np.bincount(rank)) if len(rank) else np.zeros(0, np.int64)
        for lower, upper in pairwise(ends):
            block = by_rank[lower:upper]
            age = self._stored_times[block] - self._stored_times[block - 1]
            self._stored[block] += self._stored[block - 1] * np.exp(-age[:, None] * self._rates)[:, :, None]
