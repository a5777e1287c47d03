"""As-of sums: per entity, events in time order with blocked cumulative sums; a query at t is a binary search.

Sums are taken in event order and never across entities, so the value at (entity, t) depends, to the last bit, on
nothing but that entity's events before t.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_matrix

from llmrec.features.arrays import Floats, Ints, Rows
from llmrec.features.asof.events import BLOCK, EntityEvents, Span, flatten
from llmrec.schema import DAY_MS

_CHUNK = 1 << 15  # rows whose values are widened to float64 at a time
#: (T,) positions -> values (T, D), and weights (T, V) that are not negative.
Terms = Callable[[Ints], tuple[npt.NDArray[np.floating], npt.NDArray[np.floating]]]


class BlockedSums:
    """Weighted, optionally decayed sums of event values, as of any time.

    Variant v at time t is `sum_j weights[j, v] * exp(-(t - time_j) / days[v]) * values[j]` over the entity's events
    before t. A sum is stored after every BLOCK events, relative to that block's last event, so that exponents never
    grow (the scaled recursion); events after it are added at the query.

    Args:
        events: the grouping of the events.
        terms: what an event gives; a constant value gives the total weight.
        days: V decay constants in days; infinity does not decay.
        stored: (blocks, V, D) the running sums; None: `summed` makes them.
    """

    def __init__(self, events: EntityEvents, terms: Terms, days: Sequence[float], stored: Rows | None = None) -> None:
        self._events, self._terms = events, terms
        self._rates: Floats = 1.0 / (np.asarray(days, np.float64) * DAY_MS)
        self.stored = Rows.of(self.summed(0, len(events))) if stored is None else stored

    def summed(self, start: int, stop: int) -> Floats:
        """(n, V, D) running sums of the n blocks in a range of positions that `ranges` gives.

        Those of an entity that began before the range are of single blocks still: `propagate_carry` finishes them.
        """
        sums, begin = self._blocks(start, stop)
        self._accumulate(sums, begin, None)
        return sums

    def propagate_carry(self, sums: Floats, start: int, stop: int, carry: Floats) -> None:
        """Finish, in place, what `summed` made: `carry` (V, D) is the last sum before the range, of the same entity."""
        self._accumulate(sums, self._begins(start, stop), carry)

    def at(self, span: Span, variants: Sequence[int] | None = None) -> Floats:
        """(Q, V, D) sums of the events in `span` as of its times; `variants` keeps some, in that order."""
        kept = list(range(len(self._rates))) if variants is None else list(variants)
        parts = [self._at(part, kept) for part in self._chunks(span)]
        return np.concatenate(parts) if parts else np.zeros((0, len(kept), self.stored.shape[-1]))

    def last(self, span: Span, n: int) -> Floats:
        """(Q, D) sums of each query's last n events alone, by the weights of the first variant, not decayed."""
        sums = [self._sum(np.maximum(s.begin, s.end - n), s.end, s.times, [0])[:, 0] for s in self._chunks(span)]
        return np.concatenate(sums) if sums else np.zeros((0, self.stored.shape[-1]))

    def single(self, begin: Ints) -> Floats:
        """(n, V, D) sum of each block alone, as of its last event; `begin` (n,) are the blocks' first positions."""
        return self._sum(begin, begin + BLOCK, self._events.times[begin + BLOCK - 1], range(len(self._rates)))

    def carried(self, before: Floats, begin: Ints) -> Floats:
        """(n, V, D) running sums `before` as of the last events of the blocks that follow, which begin at `begin`."""
        last = begin + BLOCK - 1
        age = self._events.times[last] - self._events.times[last - BLOCK]
        decayed: Floats = before * np.exp(-age[:, None] * self._rates)[:, :, None]
        return decayed

    @staticmethod
    def _chunks(span: Span) -> list[Span]:
        return [span[start : start + _CHUNK // 8] for start in range(0, len(span.rows), _CHUNK // 8)]

    def _at(self, span: Span, variants: Sequence[int]) -> Floats:
        blocks = span.count // BLOCK
        total = self._sum(span.begin + blocks * BLOCK, span.end, span.times, variants)
        some = np.flatnonzero(blocks)
        begin, full = span.begin[some], blocks[some]
        age = span.times[some] - self._events.times[begin + full * BLOCK - 1]
        decay = np.exp(-age[:, None] * self._rates[variants])
        number = self._events.blocks_of(span.rows[some], begin) + full - 1
        total[some] = self.stored.take(number, variants) * decay[:, :, None] + total[some]
        return total

    def _sum(self, begin: Ints, end: Ints, times: Ints, variants: Sequence[int]) -> Floats:
        """(Q, V, D) over the positions [begin, end), decayed to `times`; rows are added in order of time."""
        positions, starts = flatten(begin, end)
        values, weights = self._terms(positions)
        age = np.repeat(times, end - begin) - self._events.times[positions]
        weights = weights.T[variants] * np.exp(-age * self._rates[variants, None])  # (V, T)
        runs = np.concatenate([starts[:1], *(starts[1:] + v * len(positions) for v in range(len(variants)))])
        columns = np.tile(np.arange(len(positions)), len(variants))
        # a sparse product adds a row's terms one after the other, whatever else is in the batch
        matrix = csr_matrix((weights.ravel(), columns, runs), shape=(len(variants) * len(begin), len(positions)))
        sums: Floats = (matrix @ values.astype(np.float64)).reshape(len(variants), len(begin), values.shape[1])
        return sums.transpose(1, 0, 2)

    def _begins(self, start: int, stop: int) -> Ints:
        """(n,) first positions of the blocks in a range."""
        first, last = self._events.blocks_before(np.array([start, stop]))
        numbers = np.arange(first, last)
        entity = np.searchsorted(self._events.blocks, numbers, side="right") - 1
        return self._events.offsets[entity] + (numbers - self._events.blocks[entity]) * BLOCK

    def _blocks(self, start: int, stop: int) -> tuple[Floats, Ints]:
        """(n, V, D) sum of each single block in a range, as of its last event, and the blocks' first positions."""
        begin, parts = self._begins(start, stop), list[Floats]()
        for at in range(0, max(len(begin), 1), _CHUNK // BLOCK):  # once where there is none: the shape is then known
            some = begin[at : at + _CHUNK // BLOCK]
            parts.append(self.single(some))
        return np.concatenate(parts), begin

    def _accumulate(self, sums: Floats, begin: Ints, carry: Floats | None) -> None:
        """Turn the sums of single blocks into running sums of each entity: one step for all its n-th blocks.

        Without a carry: of those entities alone whose first block is among them; with it: of the others, one at most.
        """
        entity = self._events.owners(begin)
        new = np.ones(len(begin), np.bool_)
        new[1:] = entity[1:] != entity[:-1]
        reached = bool(len(begin)) and begin[0] != self._events.offsets[entity[0]]  # from before the range
        n_reached = int((entity == entity[0]).sum()) if reached else 0
        if carry is not None and reached:
            self._step(sums, begin, np.zeros(1, np.int64), carry[None])
        mine = np.arange(n_reached) if carry is not None else np.arange(n_reached, len(begin))
        first = np.flatnonzero(new)
        rank = (mine - first[np.searchsorted(first, mine, side="right") - 1]) if len(mine) else mine
        by_rank = mine[np.argsort(rank, kind="stable")]
        ends = np.cumsum(np.bincount(rank)) if len(rank) else np.zeros(0, np.int64)
        for lower, upper in pairwise(ends):
            blocks = by_rank[lower:upper]
            self._step(sums, begin, blocks, sums[blocks - 1])

    def _step(self, sums: Floats, begin: Ints, blocks: Ints, before: Floats) -> None:
        """Add the running sums of the blocks before, (n, V, D), to those of `blocks`."""
        sums[blocks] += self.carried(before, begin[blocks])
