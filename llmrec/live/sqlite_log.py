"""The log of events in one SQLite file: processes of one machine may write, one at a time, and read meanwhile."""

import fcntl
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from llmrec.live.event_log import EventLog, Kind, LogUnavailableError
from llmrec.live.sqlite_file import open_log, writing

T = TypeVar("T")
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


class SqliteLog(EventLog):
    """`serving.live.path` as a file."""

    def __init__(self, path: str) -> None:
        """Open the file, made where there is none. Raises ValueError for one that is no such log."""
        self.path, self._lock = path, threading.Lock()
        self._db = open_log(path, _SCHEMA, _FORMAT, "serving.live.path")

    def close(self) -> None:
        self._db.close()

    @contextmanager
    def held(self) -> Iterator[bool]:
        with Path(f"{self.path}.refresh").open("w") as beside:
            try:
                fcntl.flock(beside, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
            else:
                yield True

    def _written(self, work: Callable[[], T]) -> T:
        with self._lock, _told(self.path), writing(self._db):
            return work()

    def _read(self, work: Callable[[], T]) -> T:
        with self._lock, _told(self.path):
            return work()

    def _digests(self, kind: Kind, ids: Sequence[str]) -> dict[str, bytes]:
        found = dict[str, bytes]()
        for start in range(0, len(ids), _LOOKUP):
            some = ids[start : start + _LOOKUP]
            marks = ",".join("?" * len(some))
            # named as its index is, which then is used
            found |= self._db.execute(f"SELECT id, digest FROM log WHERE kind = '{kind}' AND id IN ({marks})", some)
        return found

    def _insert(self, rows: Sequence[tuple[str, str, bytes, str, bool]]) -> None:
        self._db.executemany("INSERT INTO log (kind, id, digest, body, has_words) VALUES (?, ?, ?, ?, ?)", rows)

    def _since(self, seq: int, limit: int, until: int) -> list[Any]:
        return self._db.execute(
            "SELECT seq, kind, id, body, vector FROM log WHERE seq > ? AND seq <= ? ORDER BY seq LIMIT ?",
            (seq, until, limit),
        ).fetchall()

    def _unspoken(self, encoder: str, after: int, limit: int) -> list[Any]:
        return self._db.execute(
            "SELECT seq, kind, id, body FROM log AS said WHERE has_words AND seq > ? AND NOT EXISTS (SELECT 1 "
            "FROM log WHERE kind = 'words' AND id = said.seq || ':' || ?) ORDER BY seq LIMIT ?",
            (after, encoder, limit),
        ).fetchall()

    def _speak(self, rows: Sequence[tuple[str, str, bytes]]) -> None:
        self._db.executemany(
            "INSERT OR IGNORE INTO log (kind, id, digest, body, has_words, vector) VALUES ('words', ?, x'', ?, 0, ?)",
            rows,
        )

    def _last(self) -> int:
        return int(self._db.execute("SELECT coalesce(max(seq), 0) FROM log").fetchone()[0])

    def _first(self) -> tuple[int, str, bytes] | None:
        found: tuple[int, str, bytes] | None = self._db.execute(
            "SELECT seq, id, digest FROM log ORDER BY seq LIMIT 1"
        ).fetchone()
        return found


@contextmanager
def _told(path: str) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise LogUnavailableError(f"{path}: {error}") from error
