"""From the log's events into a history: each once, at its own time, those of unknown items when they are known."""

import logging
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from llmrec.features.arrays import Bools, Floats32, Ints
from llmrec.features.asof.logs.happened import Happened, event_ties
from llmrec.live.asof.live_history import LiveHistory
from llmrec.live.event_log import Entry
from llmrec.schema import event_id, event_order

logger = logging.getLogger("ray.serve.llmrec")


@dataclass
class _Batch:
    """Events of one run of the log."""

    entries: list[Entry] = field(default_factory=list)

    def column(self, name: str) -> list[Any]:
        return [entry.body.get(name) for entry in self.entries]

    def without(self, left_out: Bools) -> "_Batch":
        return _Batch([entry for entry, out in zip(self.entries, left_out, strict=True) if not out])

    @property
    def items(self) -> list[str]:
        """ "" where there is none: a search."""
        return [item or "" for item in self.column("item")]

    @property
    def values(self) -> Floats32:
        return np.array([np.nan if value is None else value for value in self.column("value")], np.float32)


class Placer:
    """Counts what it placed (`events`) and what became of the rest. One thread places.

    An event of the log has a `kind`, or is a review; where it is of the outcome's kind, and its value suffices, it
    enters the interactions too, as in ingest.
    """

    def __init__(self, history: LiveHistory, n_users: int, most: int) -> None:
        """`n_users` of the bundle, the unknown one among them; `most` events are placed."""
        self._history, self._n_users, self._most = history, n_users, most
        self._waiting: defaultdict[str, list[Entry]] = defaultdict(list)
        self._seen: set[int] = set()
        #: Entry with words -> user and number of the event, or 0 and the item's row.
        self.spoken: dict[int, tuple[int, int]] = {}
        self.events = self.copies = self.of_unknown_kinds = self.follows = 0

    @property
    def of_unknown_items(self) -> int:
        """How many wait until a bundle, or somebody, says what their item is."""
        return sum(len(entries) for entries in list(self._waiting.values()))

    def place(self, entries: list[Entry]) -> None:
        """Events that come now."""
        history, batch = self._history, self._known(_Batch(entries))
        self._join(batch.column("user"))
        kinds = np.array([kind is not None for kind in batch.column("kind")], np.bool_)
        copies = np.zeros(len(kinds), np.bool_)
        reviews = np.flatnonzero(~kinds)
        copies[reviews] = self._are_copies(batch.without(kinds))
        copies[kinds] = [self._is_held(entry) for entry in batch.without(~kinds).entries]
        self.copies += int(copies.sum())
        batch = batch.without(copies)
        room = max(0, self._most - self.events)
        if len(batch.entries) > room:
            n = len(batch.entries) - room
            logger.error("live events: %d more than %d, not counted (serving.live.max_events)", n, self._most)
            batch.entries = batch.entries[:room]
        self.events += len(batch.entries)
        besides = np.array([kind is not None for kind in batch.column("kind")], np.bool_)
        self._happen(batch.without(~besides))
        self._interact(_Batch([entry for entry in batch.entries if entry.interacts(history.further.outcome)]))

    def item_known(self, item_id: str) -> None:
        """Events that waited for the item come now."""
        if waited := self._waiting.pop(item_id, None):
            self.place(waited)

    def follow(self, entries: Iterable[Entry]) -> None:
        """Whom users follow from now on; each pair once, those that the bundle has among them."""
        for body in (entry.body for entry in entries):
            pair = [body["user"], body["followed"]]
            self._join(pair)
            follower, followed = self._history.user_rows(pair).tolist()
            order = int(event_order(pair[:1], pair[1:])[0])
            self.follows += self._history.live_further.follow(follower, followed, body["time"], order)

    def _known(self, batch: _Batch) -> _Batch:
        """Without those of kinds that the bundle's features know nothing of, and those that wait for their item."""
        known = {None, *self._history.further.kinds}
        strange = np.array([kind not in known for kind in batch.column("kind")], np.bool_)
        self.of_unknown_kinds += int(strange.sum())
        batch = batch.without(strange)
        items = batch.items
        waits = (self._history.item_rows(items) == 0) & (np.array(items, object) != "")
        for entry in batch.without(~waits).entries:
            self._waiting[entry.body["item"]].append(entry)
        return batch.without(waits)

    def _join(self, users: list[str]) -> None:
        names = list(dict.fromkeys(users))
        known = self._history.user_rows(names)
        self._history.new_users([name for name, row in zip(names, known, strict=True) if row == 0])

    def _happen(self, batch: _Batch) -> None:
        """Events of kinds that the history knows."""
        if not batch.entries:
            return
        history, users, items = self._history, batch.column("user"), batch.items
        ids = pa.chunked_array([pa.array([entry.id for entry in batch.entries], pa.string())])
        kinds = np.array([history.further.kinds.index(kind) for kind in batch.column("kind")], np.int64)
        times = np.array(batch.column("time"), np.int64)
        orders, ties = event_order(users, items), event_ties(ids)
        rows = history.user_rows(users), history.item_rows(items)
        history.happen(Happened(*rows, times, kinds, batch.values, orders, ties))

    def _interact(self, batch: _Batch) -> None:
        """Reviews, and the outcome's events."""
        if not batch.entries:
            return
        history, users, items = self._history, batch.column("user"), batch.items
        stars = np.array([np.nan if s is None else s for s in batch.column("stars")], np.float32)
        rows, first = history.user_rows(users), history.n_base + history.n_live
        for place, entry in enumerate(batch.entries):
            if entry.body.get("words"):
                self.spoken[entry.seq] = int(rows[place]), first + place
        times = np.array(batch.column("time"), np.int64)
        history.place(rows, history.item_rows(items), times, event_order(users, items), stars)

    def _are_copies(self, batch: _Batch) -> Bools:
        """(n,) whether the bundle holds a review of that pair and time, or an earlier one has its words too."""
        if not batch.entries:
            return np.zeros(0, np.bool_)
        users, items = self._history.user_rows(batch.column("user")), self._history.item_rows(batch.column("item"))
        times = np.array(batch.column("time"), np.int64)
        found = self._in_bundle(users, items, times)
        told = zip(users.tolist(), items.tolist(), times.tolist(), batch.column("words"), strict=True)
        for place, key in enumerate(map(hash, told)):
            found[place] |= key in self._seen
            self._seen.add(key)
        return found

    def _is_held(self, entry: Entry) -> bool:
        """Whether the bundle holds an event of that user and id, or one without an id that says the same."""
        body = entry.body
        said = (body["user"], body["item"], body["time"], body["kind"], body["value"], body["session"], body["text"])
        user = int(self._history.user_rows([body["user"]])[0])
        ids = pa.chunked_array([pa.array([entry.id, event_id(*said)], pa.string())])
        return user < self._n_users and self._history.live_further.holds(user, event_ties(ids))

    def _in_bundle(self, users: Ints, items: Ints, times: Ints) -> Bools:
        events, data = self._history.live_users.events.base, self._history.data
        found = np.zeros(len(users), np.bool_)
        some = np.flatnonzero(users < self._n_users)
        place, stop = events.span(users[some], times[some]).end, events.offsets[users[some] + 1]
        while len(some):
            there = place < stop
            some, place, stop = some[there], place[there], stop[there]
            there = events.times[place] == times[some]
            some, place, stop = some[there], place[there], stop[there]
            found[some] |= data.item_rows[events.order[place]] == items[some]
            place = place + 1
        return found
