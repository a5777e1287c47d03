"""From the log into a bundle's history: each entry once, in the log's order, whenever somebody looks."""

import logging
import threading
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

import numpy as np

from llmrec.features.arrays import Bools, Ints
from llmrec.live.context import LiveContext
from llmrec.live.event_log import END, Entry, EventLog
from llmrec.live.gate import Gate
from llmrec.live.live_items import ItemFields
from llmrec.live.log_point import LogPoint
from llmrec.schema import event_order

logger = logging.getLogger("ray.serve.llmrec")
#: Entries read at once.
_READ = 5_000


@dataclass
class _Batch:
    entries: list[Entry] = field(default_factory=list)

    def column(self, name: str) -> list[Any]:
        return [entry.body[name] for entry in self.entries]


class LiveState:
    """What of a log one bundle has seen. `catch_up` is safe among threads; answers may be given meanwhile."""

    def __init__(
        self, context: LiveContext, log: EventLog, encoder: str | None, max_events: int, pull_s: float = 0.1,
        point: LogPoint | None = None,
    ) -> None:  # fmt: skip
        """`encoder`: fingerprint of the bundle's own; vectors of others count not. `pull_s`: between two looks.

        `point`: what of this log the bundle was made with. Its events are told by value, as a corpus's own are: a pair
        and time that the bundle holds are not counted again. What it holds back does not count, and what a PUT said
        before it is in the bundle.
        """
        self._through, self._held = (point.through, frozenset(point.held)) if point else (0, frozenset[int]())
        self._context, self._log, self._encoder, self._max = context, log, encoder, max_events
        self.pull_s = pull_s
        self._history, self._working = context.history, threading.Lock()
        self._waiting: defaultdict[str, list[Entry]] = defaultdict(list)
        self._seen: set[int] = set()
        #: Entry with words -> user and number of the event, or 0 and the item's row.
        self._spoken: dict[int, tuple[int, int]] = {}
        self.gate = Gate()  # who asks passes it: items join while nobody does
        self.on_items: Callable[[Ints], None] = lambda rows: None  # told of items that joined or changed
        self.sequence = self.copies = self.words = self.held_back = 0
        #: Of the bundle, the unknown ones among them.
        self.n_users, self.n_items = len(context.history.user_ids), len(context.history.item_ids)

    def catch_up(self, until: int = END) -> int:
        """Take in what the log holds by now, up to number `until`; returns how many entries there were."""
        with self._working:
            start = self.sequence
            while entries := self._log.since(self.sequence, _READ, until):
                self._take_in(entries)
            return self.sequence - start

    def fitted(self, user: int, items: Ints) -> tuple[int, Ints]:
        """Rows as models of the bundle's own events know them: what came after is the unknown one."""
        return int(user) if user < self.n_users else 0, np.where(items < self.n_items, items, 0)

    def describe(self) -> dict[str, int]:
        """For people and tests: the last entry seen, events placed, and what became of the others."""
        waiting = sum(len(entries) for entries in list(self._waiting.values()))
        hidden = len(self._context.interactions.hidden)
        return {
            "sequence": self.sequence, "events": self._history.n_live, "copies": self.copies,
            "of_unknown_items": waiting, "with_words": self.words, "hidden_items": hidden,
            "new_items": len(self._history.item_ids) - self.n_items, "held_back": self.held_back,
        }  # fmt: skip

    def _take_in(self, entries: list[Entry]) -> None:
        """Runs of events are placed at once; what lies between them in its turn."""
        for kind, run in groupby(entries, lambda entry: entry.kind):
            same = list(run)
            self.sequence = same[-1].seq  # first: what cannot be taken in is not tried again, half of it being done
            if kind == "event":
                counted = [entry for entry in same if entry.seq not in self._held]
                self.held_back += len(same) - len(counted)
                self._place(_Batch(counted))
                continue
            with self.gate.closed():
                rows = [row for entry in same if (row := self._speak(entry) if kind == "words" else self._item(entry))]
                if rows:
                    self.on_items(np.unique(rows))
            if kind == "item":
                self._place(_Batch([e for entry in same for e in self._waiting.pop(entry.id, ())]))

    def _place(self, batch: _Batch) -> None:
        history = self._history
        unknown = history.item_rows(batch.column("item")) == 0
        for entry, waits in zip(batch.entries, unknown, strict=True):
            if waits:  # until a bundle, or somebody, says what it is
                self._waiting[entry.body["item"]].append(entry)
        batch = self._without(batch, unknown)
        names = list(dict.fromkeys(batch.column("user")))
        known = history.user_rows(names)
        history.new_users([name for name, row in zip(names, known, strict=True) if row == 0])
        batch = self._without(batch, self._are_copies(batch))
        room = max(0, self._max - history.n_live)
        if len(batch.entries) > room:
            logger.error(
                "live events: %d more than %d, not counted (serving.live.max_events)", len(batch.entries), room
            )
            batch.entries = batch.entries[:room]
        if not batch.entries:
            return
        self._place_known(batch)

    def _place_known(self, batch: _Batch) -> None:
        """Events of users and items that the history knows, none of them a copy."""
        history, users, items = self._history, batch.column("user"), batch.column("item")
        stars = np.array([np.nan if s is None else s for s in batch.column("stars")], np.float32)
        rows, first = history.user_rows(users), history.n_base + history.n_live
        for place, entry in enumerate(batch.entries):
            if entry.body["words"]:
                self._spoken[entry.seq] = int(rows[place]), first + place
        times = np.array(batch.column("time"), np.int64)
        history.place(rows, history.item_rows(items), times, event_order(users, items), stars)

    @staticmethod
    def _without(batch: _Batch, left_out: Bools) -> _Batch:
        return _Batch([entry for entry, out in zip(batch.entries, left_out, strict=True) if not out])

    def _are_copies(self, batch: _Batch) -> Bools:
        """(n,) whether the bundle holds an event of that pair and time, or an earlier one has its words too."""
        if not batch.entries:
            return np.zeros(0, np.bool_)
        users, items = self._history.user_rows(batch.column("user")), self._history.item_rows(batch.column("item"))
        times = np.array(batch.column("time"), np.int64)
        found = self._in_bundle(users, items, times)
        told = zip(users.tolist(), items.tolist(), times.tolist(), batch.column("words"), strict=True)
        for place, key in enumerate(map(hash, told)):
            found[place] |= key in self._seen
            self._seen.add(key)
        self.copies += int(found.sum())
        return found

    def _in_bundle(self, users: Ints, items: Ints, times: Ints) -> Bools:
        events, data = self._history.live_users.events.base, self._history.data
        found = np.zeros(len(users), np.bool_)
        some = np.flatnonzero(users < self.n_users)
        place, stop = events.span(users[some], times[some]).end, events.offsets[users[some] + 1]
        while len(some):
            there = place < stop
            some, place, stop = some[there], place[there], stop[there]
            there = events.times[place] == times[some]
            some, place, stop = some[there], place[there], stop[there]
            found[some] |= data.item_rows[events.order[place]] == items[some]
            place = place + 1
        return found

    def _speak(self, entry: Entry) -> int:
        """Count words; returns the row of the item that they describe, 0 where they are an event's, or not counted."""
        said = self._spoken.get(entry.body["of"])
        theirs = entry.body["encoder"] != self._encoder or not self._history.text_dim
        if said is None or entry.vector is None or theirs:
            return 0
        del self._spoken[entry.body["of"]]
        self.words += 1
        user, number = said
        if user:
            self._history.speak(user, number, entry.vector)
            return 0
        self._history.describe_item(number, entry.vector)
        return number

    def _item(self, entry: Entry) -> int:
        """What an item is from now on; returns its row, 0 where an unknown one is taken away."""
        body, row = entry.body, int(self._history.item_rows([entry.id])[0])
        if not body["hidden"] and not (row and entry.seq <= self._through):
            begins = body.get("available_from")
            row = self._history.put_item(
                entry.id,
                ItemFields(body["brand"], body["categories"], body["price"], begins, body.get("available_until")),
                body["time"] if begins is None else begins,
            )
            if body["words"]:
                self._spoken[entry.seq] = 0, row
        if row:
            self._context.interactions.hide(row, bool(body["hidden"]))
        return row
