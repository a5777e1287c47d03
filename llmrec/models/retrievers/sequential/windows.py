"""Training sequences cut into windows: every event that a request could have asked for, after what came before it."""

from dataclasses import dataclass

import numpy as np

from llmrec.features.asof.events import flatten
from llmrec.features.dataset.rows import Shard
from llmrec.models.base import Ints, ModelContext
from llmrec.models.retrievers.sequential.sequences import SequenceReader, Sequences

#: Batches on either side from which an item's share among a batch's positives is estimated.
_AROUND = 4


@dataclass(frozen=True)
class Targets:
    """T events to predict, each from a place of a window; all (T,), in order of their windows."""

    window: Ints
    place: Ints  # of the last event strictly before: what happens at one moment sees nothing of each other
    items: Ints  # History rows
    times: Ints  # ms

    def of(self, windows: slice) -> "Targets":
        """Those of some windows, counted from the first of these."""
        some = slice(*np.searchsorted(self.window, [windows.start, max(windows.stop, windows.start)]))
        return Targets(self.window[some] - windows.start, self.place[some], self.items[some], self.times[some])

    def __len__(self) -> int:
        return len(self.items)


class SequenceWindows:
    """A worker's windows of up to L events before the cut-off, in order of their ends.

    Windows of a user overlap by half: an event is predicted in the one that shows most of its past, at least L / 2
    events where there are so many. Items that nobody could recommend yet are no targets; nor are items had before, if
    those are no candidates.
    """

    def __init__(self, context: ModelContext, reader: SequenceReader, shard: Shard) -> None:
        self.reader, self.length = reader, context.history_length
        history, events = context.history, context.history.users.events
        users = np.arange(1, len(history.user_ids))
        span = events.span(users, np.full(len(users), context.spec.cutoff))
        positions, bounds = flatten(span.begin, span.end)
        owner = np.repeat(np.arange(len(users)), np.diff(bounds))
        items, times = history.data.item_rows[events.order[positions]], events.times[positions]
        place = _strictly_before(owner, times) - bounds[owner]  # by number within the user
        _, first = np.unique(owner * len(history.item_ids) + items, return_index=True)
        first = np.sort(first) if history.settings.exclude_seen else np.arange(len(items))
        wanted = first[(place[first] >= 0) & (history.known_since[items[first]] < times[first])]
        self._cut(owner[wanted], place[wanted], items[wanted], times[wanted], span.begin, shard)

    def _cut(self, owner: Ints, place: Ints, items: Ints, times: Ints, begin: Ints, shard: Shard) -> None:
        step = max(self.length // 2, 1)
        last = np.zeros(len(begin), np.int64)
        np.maximum.at(last, owner, place)
        block = (last[owner] - place) // step
        end = last[owner] - block * step  # the window's last place, by number within the user
        keys, window = np.unique(np.column_stack([owner, end]), axis=0, return_inverse=True)
        ended = np.zeros(len(keys), np.int64)
        np.maximum.at(ended, window.ravel(), times)
        order = np.lexsort((keys[:, 1], keys[:, 0], ended))
        rank = np.empty(len(keys), np.int64)
        rank[order] = np.arange(len(keys))
        window, mine = rank[window.ravel()], shard.of(len(keys))
        self.users = 1 + keys[order[mine], 0]  # (W,) History rows
        self._begin, self._end = begin[keys[order[mine], 0]], (begin[keys[:, 0]] + keys[:, 1])[order[mine]]
        some = np.flatnonzero(window % shard.world == shard.rank)
        some = some[np.argsort(window[some], kind="stable")]
        column = self.length - 1 - (end - place)
        self.targets = Targets(window[some] // shard.world, column[some], items[some], times[some])

    def __len__(self) -> int:
        return len(self._end)

    def sequences(self, windows: slice) -> Sequences:
        """What the windows show."""
        positions = self._end[windows, None] + np.arange(1 - self.length, 1)
        real = positions >= self._begin[windows, None]
        positions = np.where(real, positions, 0)
        times = self.reader.context.history.users.events.times
        until = np.where(real, times[np.minimum(positions + 1, len(times) - 1)], 0)
        return self.reader.of_positions(positions, real, until)

    def share(self, windows: slice, size: int) -> Ints:
        """(n_items,) share of each item among the targets of the windows around: p_j of the logQ correction."""
        around = self.targets.of(slice(max(windows.start - _AROUND * size, 0), windows.stop + _AROUND * size)).items
        counts = np.bincount(around, minlength=len(self.reader.context.history.item_ids))
        return np.asarray(counts / max(len(around), 1), np.float32)


def _strictly_before(owner: Ints, times: Ints) -> Ints:
    """(n,) number of the last event of an earlier moment; −1 from the user's first where there is none."""
    number = np.arange(len(times))
    new = np.ones(len(times), np.bool_)
    new[1:] = (owner[1:] != owner[:-1]) | (times[1:] != times[:-1])
    return np.asarray(np.maximum.accumulate(np.where(new, number, 0)) - 1)
