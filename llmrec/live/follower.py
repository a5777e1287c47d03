"""From the log into a bundle's history: each entry once, in the log's order, whenever somebody looks."""

import threading
from collections.abc import Callable
from itertools import groupby

import numpy as np

from llmrec.features.arrays import Ints
from llmrec.live.asof.live_items import ItemFields
from llmrec.live.context import LiveContext
from llmrec.live.event_log import END, Entry, EventLog
from llmrec.live.gate import Gate
from llmrec.live.log_point import LogPoint
from llmrec.live.placer import Placer

#: Entries read at once.
_READ = 5_000


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
        self._context, self._log, self._encoder = context, log, encoder
        self.pull_s = pull_s
        self._history, self._working = context.history, threading.Lock()
        self.gate = Gate()  # who asks passes it: items join while nobody does
        self.on_items: Callable[[Ints], None] = lambda rows: None  # told of items that joined or changed
        self.sequence = self.words = self.held_back = 0
        #: Of the bundle, the unknown ones among them.
        self.n_users, self.n_items = len(context.history.user_ids), len(context.history.item_ids)
        self._placer = Placer(context.history, self.n_users, max_events)

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
        placed, hidden = self._placer, len(self._context.interactions.hidden)
        return {
            "sequence": self.sequence, "events": placed.events, "interactions": self._history.n_live,
            "follows": placed.follows, "copies": placed.copies, "of_unknown_items": placed.of_unknown_items,
            "of_unknown_kinds": placed.of_unknown_kinds, "with_words": self.words, "hidden_items": hidden,
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
                self._placer.place(counted)
                continue
            if kind == "follow":
                self._placer.follow(same)
                continue
            with self.gate.closed():
                rows = [row for entry in same if (row := self._speak(entry) if kind == "words" else self._item(entry))]
                if rows:
                    self.on_items(np.unique(rows))
            if kind == "item":
                for entry in same:
                    self._placer.item_known(entry.id)

    def _speak(self, entry: Entry) -> int:
        """Count words; returns the row of the item that they describe, 0 where they are an event's, or not counted."""
        said = self._placer.spoken.get(entry.body["of"])
        theirs = entry.body["encoder"] != self._encoder or not self._history.text_dim
        if said is None or entry.vector is None or theirs:
            return 0
        del self._placer.spoken[entry.body["of"]]
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
                self._placer.spoken[entry.seq] = 0, row
        if row:
            self._context.interactions.hide(row, bool(body["hidden"]))
        return row
