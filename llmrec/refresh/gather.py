"""From the log to rows of a corpus: which entries a turn takes, and the files that ingest reads."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from llmrec.config.data.events import REVIEW
from llmrec.config.serving.refresh import RefreshConfig
from llmrec.features.asof.logs.happened import Names
from llmrec.files import write_parquet
from llmrec.live.event_log import Entry, EventLog
from llmrec.refresh.book import Plan
from llmrec.refresh.burst import Caps, held_back
from llmrec.schema import C

_READ = 20_000
_REVIEWS = pa.schema(
    [(C.USER_ID, pa.string()), (C.ITEM_ID, pa.string()), (C.TIMESTAMP, pa.int64()), (C.STARS, pa.float64()),
     (C.TEXT, pa.string())]
)  # fmt: skip
_ITEMS = pa.schema(
    [(C.ITEM_ID, pa.string()), (C.TITLE, pa.string()), (C.DESCRIPTION, pa.string()), (C.BRAND, pa.string()),
     (C.PRICE, pa.float64()), (C.CATEGORIES, pa.list_(pa.string())), (C.AVAILABLE_FROM, pa.int64()),
     (C.AVAILABLE_UNTIL, pa.int64())]
)  # fmt: skip
_EVENTS = pa.schema(
    [(C.EVENT_ID, pa.string()), (C.USER_ID, pa.string()), (C.ITEM_ID, pa.string()), (C.TIMESTAMP, pa.int64()),
     (C.KIND, pa.string()), (C.VALUE, pa.float64()), (C.SESSION, pa.string()), (C.TEXT, pa.string())]
)  # fmt: skip
_RELATIONS = pa.schema([(C.FOLLOWER_ID, pa.string()), (C.FOLLOWED_ID, pa.string()), (C.SINCE, pa.int64())])


@dataclass(frozen=True)
class Serving:
    """Of the bundle that serves: each item's share of the interactions, and what else its features know of."""

    shares: Mapping[str, float]
    besides: Names = field(default_factory=Names)

    def takes(self, event: Entry) -> bool:
        """Whether the event is of a kind that there are features of."""
        return event.event_kind == REVIEW or event.event_kind in self.besides.kinds


@dataclass
class LoggedItem:
    """What the log says of an item: its last PUT, when it first came (ms), and whether it was deleted since."""

    body: dict[str, Any] = field(default_factory=dict)
    since: int = 0
    hidden: bool = False

    @property
    def begins(self) -> int:
        """From when on it is known: when it is available, where that was told."""
        told = self.body.get("available_from")
        return self.since if told is None else int(told)


@dataclass(frozen=True)
class Gathered:
    """The log up to a number. `waiting`: numbers of events of items that nobody has told of, and of kinds that the
    serving bundle does not have."""

    through: int
    events: list[Entry]
    items: dict[str, LoggedItem]
    waiting: list[int]
    held: dict[int, str]  # number -> why, of all turns
    follows: list[Entry]
    serving: Serving

    def interactions(self) -> int:
        """How many of those that come into the corpus are the outcome's events, or reviews."""
        return sum(entry.interacts(self.serving.besides.outcome) for entry in self.passed())

    def passed(self) -> list[Entry]:
        """The events that come into the corpus."""
        out = {*self.waiting, *self.held}
        return [entry for entry in self.events if entry.seq not in out]

    def told(self, new: Sequence[int]) -> dict[str, Any]:
        """For people: what is held back, most of which items, and what waits."""
        by_seq = {entry.seq: entry for entry in self.events}
        items = Counter(by_seq[seq].body["item"] for seq, why in self.held.items() if why == "item")
        users = Counter(by_seq[seq].body["user"] for seq, why in self.held.items() if why == "user")
        return {
            "log_events": len(self.events), "log_follows": len(self.follows), "waiting": len(self.waiting),
            "held_back": len(self.held),
            "held_back_now": len(set(new) & set(self.held)), "held_items": dict(items.most_common(5)),
            "held_users": dict(users.most_common(5)),
        }  # fmt: skip


def gather(
    log: EventLog, through: int, serving: Serving, last: Plan | None, settings: RefreshConfig
) -> tuple[Gathered, dict[str, Any]]:
    """What of the log up to `through` a turn takes. Each event is judged once: what `last` took or held stays so.
    The second answer is for people.
    """
    events, follows, items = list[Entry](), list[Entry](), dict[str, LoggedItem]()
    for entry in _entries(log, through):
        if entry.kind == "event":
            events.append(entry)
        elif entry.kind == "follow" and serving.besides.relations:
            follows.append(entry)
        elif entry.kind == "item":
            _told(items.setdefault(entry.id, LoggedItem()), entry.body)
    there = {None, *serving.shares, *(name for name, item in items.items() if item.body)}
    waiting = [entry.seq for entry in events if entry.body["item"] not in there or not serving.takes(entry)]
    judged = _judged(events, waiting, last)
    new = [entry for entry in events if entry.seq not in judged]
    free = _trusted(events, settings)
    held = {seq: why for seq, why in (last.held if last else {}).items() if seq not in free}
    for asked in (True, False):  # what is looked at must not make room for what is bought
        some = [e for e in new if e.interacts(serving.besides.outcome) == asked]
        caps = Caps(settings, len(some), serving.shares)
        held |= held_back(((e.seq, e.body["user"], e.body["item"]) for e in some), caps)
    found = Gathered(through, events, items, waiting, held, follows, serving)
    return found, found.told([entry.seq for entry in new])


def _entries(log: EventLog, through: int) -> Iterator[Entry]:
    seq = 0
    while entries := log.since(seq, _READ, through):
        yield from entries
        seq = entries[-1].seq


def _told(item: LoggedItem, body: dict[str, Any]) -> None:
    item.hidden = bool(body["hidden"])
    if not item.hidden:
        item.since = min(item.since or body["time"], body["time"])
        item.body = body


def _judged(events: Sequence[Entry], waiting: Sequence[int], last: Plan | None) -> set[int]:
    """Numbers of events that an earlier turn took or held, and of those that wait still."""
    if last is None:
        return set(waiting)
    waited = set(last.waiting)
    return {entry.seq for entry in events if entry.seq <= last.through and entry.seq not in waited} | set(waiting)


def _trusted(events: Sequence[Entry], settings: RefreshConfig) -> set[int]:
    """Numbers of events of which nothing is held back."""
    ids = set(settings.trusted)
    return {e.seq for e in events if e.body["user"] in ids or e.body["item"] in ids} if ids else set()


def write(folder: str, found: Gathered) -> list[str]:
    """Write the files that `corpus.logged` names; returns their URIs.

    An item that was deleted and that nobody has had does not come; one that people had keeps what is known of it, so
    that their histories stay, and the server lists it no more.
    """
    passed = found.passed()
    had = {entry.body["item"] for entry in passed} | set(found.serving.shares)
    tables = {"reviews": (_REVIEWS, [_review(e.body) for e in passed if e.event_kind == REVIEW])}
    tables["items"] = _ITEMS, [
        {C.ITEM_ID: name, C.AVAILABLE_FROM: item.begins, C.AVAILABLE_UNTIL: item.body.get("available_until"),
         **{column: item.body[column] for column in (C.TITLE, C.DESCRIPTION, C.BRAND, C.PRICE, C.CATEGORIES)}}
        for name, item in found.items.items() if item.body and (name in had or not item.hidden)
    ]  # fmt: skip
    if found.serving.besides.kinds:
        tables["events"] = _EVENTS, [_event(e) for e in passed if e.event_kind != REVIEW]
    if found.serving.besides.relations:
        tables["relations"] = _RELATIONS, [
            {C.FOLLOWER_ID: e.body["user"], C.FOLLOWED_ID: e.body["followed"], C.SINCE: e.body["time"]}
            for e in found.follows
        ]  # fmt: skip
    uris = {name: f"{folder}/{name}.parquet" for name in tables}
    for name, (schema, rows) in tables.items():
        write_parquet(uris[name], pa.Table.from_pylist(rows, schema))
    return list(uris.values())


def _review(body: Mapping[str, Any]) -> dict[str, Any]:
    return {C.USER_ID: body["user"], C.ITEM_ID: body["item"], C.TIMESTAMP: body["time"], C.STARS: body["stars"],
            C.TEXT: body["words"]}  # fmt: skip


def _event(entry: Entry) -> dict[str, Any]:
    body = entry.body
    return {C.EVENT_ID: entry.id, C.USER_ID: body["user"], C.ITEM_ID: body["item"], C.TIMESTAMP: body["time"],
            **{name: body[name] for name in (C.KIND, C.VALUE, C.SESSION, C.TEXT)}}  # fmt: skip
