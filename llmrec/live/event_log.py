"""The log of what came while the server ran: one SQLite file, where whatever was acknowledged is there after a crash.

Write-ahead log with `synchronous=FULL`: a commit returns when the disk has it (https://sqlite.org/wal.html). Several
processes of one machine may write, one at a time, and read meanwhile; numbers ascend in the order of commits.
"""

import hashlib
import json
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from llmrec.config.data.events import REVIEW, OutcomeConfig
from llmrec.features.arrays import Floats32
from llmrec.features.asof.logs.happened import is_outcome
from llmrec.live.sqlite_file import open_log, writing

Kind = Literal["event", "follow", "item", "words"]
#: What is logged once an id.
_ONCE: tuple[Kind, ...] = ("event", "follow")
_FORMAT = 1
_SCHEMA = """
CREATE TABLE IF NOT EXISTS log (
  seq INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, id TEXT NOT NULL, digest BLOB NOT NULL,
  body TEXT NOT NULL, has_words INTEGER NOT NULL, vector BLOB);
CREATE UNIQUE INDEX IF NOT EXISTS event_once ON log (id) WHERE kind = 'event';
CREATE UNIQUE INDEX IF NOT EXISTS follow_once ON log (id) WHERE kind = 'follow';
CREATE UNIQUE INDEX IF NOT EXISTS words_once ON log (id) WHERE kind = 'words';
CREATE INDEX IF NOT EXISTS spoken ON log (seq) WHERE has_words;
"""
#: Ids looked up by one statement.
_LOOKUP = 500
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


class EventLog:
    """One connection; its methods may be called from any thread, one at a time."""

    def __init__(self, path: str) -> None:
        """Open the file, made where there is none. Raises ValueError for one that is no such log."""
        self.path, self._lock = path, threading.Lock()
        self._db = open_log(path, _SCHEMA, _FORMAT, "serving.live.path")

    def close(self) -> None:
        """Give the file back."""
        self._db.close()

    def append(self, batches: Sequence[Sequence[Fact]]) -> list[Appended | ConflictError]:
        """Log each batch whole or not at all; when this returns, the disk has them, in one commit."""
        with self._lock, writing(self._db):
            return [self._append(batch) for batch in batches]

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
        self._db.executemany(
            "INSERT INTO log (kind, id, digest, body, has_words) VALUES (?, ?, ?, ?, ?)",
            [(f.kind, f.id, f.digest, json.dumps(f.body, ensure_ascii=False), bool(f.body.get("words"))) for f in new],
        )
        return Appended(len(new), len(batch) - len(new), self._last())

    def _digests(self, kind: Kind, ids: Sequence[str]) -> dict[str, bytes]:
        found = dict[str, bytes]()
        for start in range(0, len(ids), _LOOKUP):
            some = ids[start : start + _LOOKUP]
            marks = ",".join("?" * len(some))
            # named as its index is, which then is used
            found |= self._db.execute(f"SELECT id, digest FROM log WHERE kind = '{kind}' AND id IN ({marks})", some)
        return found

    def since(self, seq: int, limit: int, until: int = END) -> list[Entry]:
        """The entries behind number `seq`, at most `limit` and none behind number `until`, in order."""
        with self._lock:
            rows = self._db.execute(
                "SELECT seq, kind, id, body, vector FROM log WHERE seq > ? AND seq <= ? ORDER BY seq LIMIT ?",
                (seq, until, limit),
            ).fetchall()
        return [Entry(n, kind, name, json.loads(body), _vector(blob)) for n, kind, name, body, blob in rows]

    def unspoken(self, encoder: str, after: int, limit: int) -> list[Entry]:
        """Entries behind number `after` whose words have no vector of that encoder (fingerprint), in order."""
        with self._lock:
            rows = self._db.execute(
                "SELECT seq, kind, id, body FROM log AS said WHERE has_words AND seq > ? AND NOT EXISTS (SELECT 1 "
                "FROM log WHERE kind = 'words' AND id = said.seq || ':' || ?) ORDER BY seq LIMIT ?",
                (after, encoder, limit),
            ).fetchall()
        return [Entry(n, kind, name, json.loads(body)) for n, kind, name, body in rows]

    def speak(self, encoder: str, vectors: Iterable[tuple[int, Floats32 | None]]) -> None:
        """Log the vectors of entries' words, by their numbers; None: the encoder refuses these words. Once each."""
        rows = [
            (f"{seq}:{encoder}", b"", json.dumps({"of": seq, "encoder": encoder}),
             b"" if vector is None else np.asarray(vector, np.float32).tobytes())
            for seq, vector in vectors
        ]  # fmt: skip
        with self._lock, writing(self._db):
            self._db.executemany(
                "INSERT OR IGNORE INTO log (kind, id, digest, body, has_words, vector) VALUES ('words', ?, ?, ?, 0, ?)",
                rows,
            )

    def last(self) -> int:
        """The number of the last entry, 0 where there is none."""
        with self._lock:
            return self._last()

    def identity(self) -> str:
        """Hex digits that tell this log from others, by its first entry; "" while there is none."""
        with self._lock:
            first = self._db.execute("SELECT seq, id, digest FROM log ORDER BY seq LIMIT 1").fetchone()
        return hashlib.sha256(repr(first).encode()).hexdigest()[:16] if first else ""

    def _last(self) -> int:
        return int(self._db.execute("SELECT coalesce(max(seq), 0) FROM log").fetchone()[0])


def _vector(blob: bytes | None) -> Floats32 | None:
    return np.frombuffer(blob, np.float32) if blob else None
