"""The log of what came while the server ran: whatever was acknowledged is there after a crash, once.

Numbers ascend in the order of commits, for all who write. One machine has it in a SQLite file, several share one in
PostgreSQL: `open_event_log` tells them apart by where it lies.
"""

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import numpy as np

from llmrec.config.data.events import REVIEW, OutcomeConfig
from llmrec.config.serving.live import DATABASES, refuse_other_addresses
from llmrec.features.arrays import Floats32
from llmrec.features.asof.logs.happened import is_outcome

Kind = Literal["event", "follow", "item", "words"]
T = TypeVar("T")
#: What is logged once an id.
_ONCE: tuple[Kind, ...] = ("event", "follow")
#: Behind every number.
END = (1 << 63) - 1


@dataclass(frozen=True)
class Fact:
    """What is to be logged: an event, known by its id, whom a user follows from now on, or what an item is.

    `said`: what the caller sent, by which a repeat is told from a contradiction; `body`: what is kept.
    """

    kind: Kind
    id: str
    said: dict[str, Any]
    body: dict[str, Any]

    @property
    def digest(self) -> bytes:
        written = json.dumps(self.said, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
        return hashlib.sha256(written.encode(errors="surrogatepass")).digest()


@dataclass(frozen=True)
class Entry:
    """A fact of the log, with its number. `vector`: of kind `words` alone; `id` is then `of` and the encoder's."""

    seq: int
    kind: Kind
    id: str
    body: dict[str, Any]
    vector: Floats32 | None = None

    @property
    def event_kind(self) -> str:
        """Of an event: a review's body names none."""
        return str(self.body.get("kind", REVIEW))

    def is_asked(self, outcome: OutcomeConfig) -> bool:
        """Whether an event is the outcome."""
        return self.body["item"] is not None and is_outcome(outcome, self.event_kind, self.body.get("value"))

    def interacts(self, outcome: OutcomeConfig) -> bool:
        """Whether an event enters the interactions: the outcome's, and reviews beside another outcome."""
        return self.event_kind == REVIEW or self.is_asked(outcome)


@dataclass(frozen=True)
class Appended:
    """What became of a batch: how many facts were new, and how many there already. `seq`: the log's last number."""

    stored: int
    duplicates: int
    seq: int


class ConflictError(ValueError):
    """An event's id is taken by one that says something else; nothing of the batch was logged."""

    def __init__(self, places: Sequence[int]) -> None:
        super().__init__(f"{len(places)} event ids are taken by events that say something else")
        self.places = tuple(places)


class LogUnavailableError(OSError):
    """The log cannot be read or written now: a full disk, or a database that is away. Nothing was logged."""


class EventLog(ABC):
    """One connection; its methods may be called from any thread, one at a time. They raise LogUnavailableError."""

    path: str  # where it lies, without secrets

    @abstractmethod
    def close(self) -> None:
        """Give the connection back."""

    @abstractmethod
    def held(self) -> AbstractContextManager[bool]:
        """Whether nobody else, on any machine, is inside for this log; the system lets go however a process ends."""

    def append(self, batches: Sequence[Sequence[Fact]]) -> list[Appended | ConflictError]:
        """Log each batch whole or not at all; when this returns, the disk has them, in one commit."""
        return self._written(lambda: [self._append(batch) for batch in batches])

    def since(self, seq: int, limit: int, until: int = END) -> list[Entry]:
        """The entries behind number `seq`, at most `limit` and none behind number `until`, in order."""
        rows = self._read(lambda: self._since(seq, limit, until))
        return [Entry(n, kind, name, json.loads(body), _vector(blob)) for n, kind, name, body, blob in rows]

    def unspoken(self, encoder: str, after: int, limit: int) -> list[Entry]:
        """Entries behind number `after` whose words have no vector of that encoder (fingerprint), in order."""
        rows = self._read(lambda: self._unspoken(encoder, after, limit))
        return [Entry(n, kind, name, json.loads(body)) for n, kind, name, body in rows]

    def speak(self, encoder: str, vectors: Iterable[tuple[int, Floats32 | None]]) -> None:
        """Log the vectors of entries' words, by their numbers; None: the encoder refuses these words. Once each."""
        rows = [
            (f"{seq}:{encoder}", json.dumps({"of": seq, "encoder": encoder}),
             b"" if vector is None else np.asarray(vector, np.float32).tobytes())
            for seq, vector in vectors
        ]  # fmt: skip
        self._written(lambda: self._speak(rows))

    def last(self) -> int:
        """The number of the last entry, 0 where there is none."""
        return self._read(self._last)

    def identity(self) -> str:
        """Hex digits that tell this log from others, by its first entry; "" while there is none."""
        first = self._read(self._first)
        return hashlib.sha256(repr(first).encode()).hexdigest()[:16] if first else ""

    def _append(self, batch: Sequence[Fact]) -> Appended | ConflictError:
        known = {kind: self._digests(kind, [fact.id for fact in batch if fact.kind == kind]) for kind in _ONCE}
        new, conflicts = list[Fact](), list[int]()
        for place, fact in enumerate(batch):
            digest = fact.digest
            if fact.kind not in _ONCE or known[fact.kind].setdefault(fact.id, digest) is digest:
                new.append(fact)
            elif known[fact.kind][fact.id] != digest:
                conflicts.append(place)
        if conflicts:
            return ConflictError(conflicts)
        self._insert([
            (f.kind, f.id, f.digest, json.dumps(f.body, ensure_ascii=False), bool(f.body.get("words"))) for f in new
        ])  # fmt: skip
        return Appended(len(new), len(batch) - len(new), self._last())

    @abstractmethod
    def _written(self, work: Callable[[], T]) -> T:
        """Do `work` in one transaction, while nobody else writes; the disk has it when this returns."""

    @abstractmethod
    def _read(self, work: Callable[[], T]) -> T:
        """Do `work`, which writes nothing."""

    @abstractmethod
    def _digests(self, kind: Kind, ids: Sequence[str]) -> dict[str, bytes]:
        """Id -> digest of those that are logged."""

    @abstractmethod
    def _insert(self, rows: Sequence[tuple[str, str, bytes, str, bool]]) -> None:
        """Log (kind, id, digest, body, whether it has words)."""

    @abstractmethod
    def _since(self, seq: int, limit: int, until: int) -> list[tuple[int, Any, str, str, bytes | None]]:
        """(seq, kind, id, body, vector)"""

    @abstractmethod
    def _unspoken(self, encoder: str, after: int, limit: int) -> list[tuple[int, Any, str, str]]:
        """(seq, kind, id, body)"""

    @abstractmethod
    def _speak(self, rows: Sequence[tuple[str, str, bytes]]) -> None:
        """Log (id, body, vector) of kind `words`, but for ids that are there."""

    @abstractmethod
    def _last(self) -> int: ...

    @abstractmethod
    def _first(self) -> tuple[int, str, bytes] | None:
        """(seq, id, digest)"""


def in_database(path: str) -> bool:
    """Whether a log lies in PostgreSQL, which several machines may share."""
    return path.startswith(DATABASES)


def open_event_log(path: str) -> EventLog:
    """The log at `path`, made where there is none: a file, or `postgresql://HOST/DATABASE#NAME`.

    Raises ValueError for one that is no such log, LogUnavailableError for a database that does not answer.
    """
    refuse_other_addresses(path)
    if in_database(path):
        from llmrec.live.postgres_log import PostgresLog  # psycopg, only where it is used

        return PostgresLog(path)
    from llmrec.live.sqlite_log import SqliteLog

    return SqliteLog(path)


def _vector(blob: bytes | None) -> Floats32 | None:
    return np.frombuffer(blob, np.float32) if blob else None
