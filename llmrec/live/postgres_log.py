"""The log of events in PostgreSQL, which the replicas of several machines share.

Who writes holds an advisory lock until the commit is visible: without it a number could become visible before a smaller
one, and who reads what lies behind the last number seen would pass that over. A commit returns when the server's disk,
and whatever standbys it waits for, has it. A lost connection is made anew, and what was under way is done again: an id
is logged once, so a commit whose answer was lost is found and not doubled.
"""

import hashlib
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar
from urllib.parse import unquote, urlsplit

from llmrec.live.event_log import EventLog, Kind, LogUnavailableError

try:
    import psycopg
    from psycopg import sql
except ImportError as missing:
    raise ValueError(f"serving.live.path in PostgreSQL: {missing}; run `pip install 'llmrec[postgres]'`") from None

T = TypeVar("T")
_FORMAT = 1
_SCHEMA = """
CREATE SCHEMA IF NOT EXISTS {schema};
CREATE TABLE IF NOT EXISTS {schema}.about (format integer NOT NULL);
INSERT INTO {schema}.about SELECT {format} WHERE NOT EXISTS (SELECT 1 FROM {schema}.about);
CREATE TABLE IF NOT EXISTS {log} (
  seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, kind text NOT NULL, id bytea NOT NULL, digest bytea NOT NULL,
  body text NOT NULL, has_words boolean NOT NULL, vector bytea);
CREATE UNIQUE INDEX IF NOT EXISTS event_once ON {log} (id) WHERE kind = 'event';
CREATE UNIQUE INDEX IF NOT EXISTS follow_once ON {log} (id) WHERE kind = 'follow';
CREATE UNIQUE INDEX IF NOT EXISTS words_once ON {log} (id) WHERE kind = 'words';
CREATE INDEX IF NOT EXISTS spoken ON {log} (seq) WHERE has_words;
"""
#: A server that does not answer is told of soon; a write waits for others no longer than a request does.
_CONNECT: dict[str, Any] = {"connect_timeout": 5, "keepalives_idle": 5, "keepalives_interval": 2, "keepalives_count": 3,
            "tcp_user_timeout": 10_000}  # fmt: skip
_WAIT = "10s"
#: Bytes of a name in PostgreSQL.
_LONGEST = 63


def _schema_of(path: str, name: str) -> str:
    schema = f"llmrec_{name}"
    if (size := len(schema.encode())) > _LONGEST:  # PostgreSQL would cut it, and two logs could meet
        raise ValueError(
            f"serving.live.path {path}: found a log's name of {size - len('llmrec_')} bytes, expected at most "
            f"{_LONGEST - len('llmrec_')}"
        )
    return schema


class PostgresLog(EventLog):
    """`serving.live.path` as `postgresql://HOST/DATABASE#NAME`: the tables lie in the schema `llmrec_NAME`."""

    def __init__(self, path: str) -> None:
        """Connect, and make the tables where there are none. Raises ValueError, LogUnavailableError."""
        address = urlsplit(path)
        self.path, self._lock = path, threading.Lock()
        self._url = path.partition("#")[0]
        schema = _schema_of(path, unquote(address.fragment) or "events")
        names = {"schema": sql.Identifier(schema), "log": sql.Identifier(schema, "log"), "format": sql.Literal(_FORMAT)}
        self._names = names
        # one number a log, the same on every machine
        self._key = int.from_bytes(hashlib.sha256(schema.encode()).digest()[:8], "big", signed=True)
        self._db: psycopg.Connection[Any] | None = None
        self._written(lambda: self._run(_SCHEMA))
        found = self._read(lambda: self._rows("SELECT format FROM {schema}.about"))
        durable = self._read(lambda: self._rows("SHOW fsync"))
        if found != [(_FORMAT,)]:
            raise ValueError(f"serving.live.path {path}: found format {found}, expected {_FORMAT}; name another log")
        if durable != [("on",)]:
            raise ValueError(
                f"serving.live.path {path}: found a server with fsync {durable[0][0]!r}, which may lose what it "
                "acknowledged; expected 'on'"
            )

    def close(self) -> None:
        if self._db is not None:
            self._db.close()

    @contextmanager
    def held(self) -> Iterator[bool]:
        # a connection of its own, which holds the lock until it is closed or its process ends
        with self._connect() as db:
            yield bool(db.execute("SELECT pg_try_advisory_lock(%s)", (~self._key,)).fetchone()[0])  # type: ignore[index]

    def _written(self, work: Callable[[], T]) -> T:
        def whole() -> T:
            with self._connected().transaction():
                self._run("SET LOCAL synchronous_commit TO on; SET LOCAL lock_timeout TO '" + _WAIT + "'")
                self._rows("SELECT pg_advisory_xact_lock(%s)", (self._key,))
                return work()

        return self._again(whole)

    def _read(self, work: Callable[[], T]) -> T:
        return self._again(work)

    def _again(self, work: Callable[[], T]) -> T:
        """Do it; once more on a new connection where the old one was lost."""
        with self._lock:
            try:
                try:
                    return work()
                except psycopg.OperationalError:
                    if self._db is not None and not self._db.closed:
                        raise
                    self._db = None
                    return work()
            except psycopg.Error as error:
                raise LogUnavailableError(f"{self.path}: {str(error).strip()}") from error

    def _connected(self) -> "psycopg.Connection[Any]":
        if self._db is None or self._db.closed:
            self._db = self._connect()
        return self._db

    def _connect(self) -> "psycopg.Connection[Any]":
        # nothing is prepared, nor set for longer than a transaction, for the sake of poolers (none was tried)
        return psycopg.connect(self._url, autocommit=True, prepare_threshold=None, **_CONNECT)

    def _run(self, statements: str) -> None:
        """Statements without parameters."""
        for statement in filter(str.strip, statements.split(";")):
            self._connected().execute(self._sql(statement))

    def _rows(self, statement: str, values: Sequence[Any] = ()) -> list[Any]:
        return self._connected().execute(self._sql(statement), values or None).fetchall()

    def _sql(self, statement: str) -> sql.Composed:
        return sql.SQL(statement).format(**self._names)

    def _digests(self, kind: Kind, ids: Sequence[str]) -> dict[str, bytes]:
        rows = self._rows(
            f"SELECT id, digest FROM {{log}} WHERE kind = '{kind}' AND id = ANY(%s)", ([i.encode() for i in ids],)
        )
        return {name.decode(): digest for name, digest in rows}

    def _insert(self, rows: Sequence[tuple[str, str, bytes, str, bool]]) -> None:
        with self._connected().cursor() as cursor:
            cursor.executemany(
                self._sql("INSERT INTO {log} (kind, id, digest, body, has_words) VALUES (%s, %s, %s, %s, %s)"),
                [(kind, name.encode(), *rest) for kind, name, *rest in rows],
            )

    def _since(self, seq: int, limit: int, until: int) -> list[Any]:
        rows = self._rows(
            "SELECT seq, kind, id, body, vector FROM {log} WHERE seq > %s AND seq <= %s ORDER BY seq LIMIT %s",
            (seq, until, limit),
        )
        return [(n, kind, name.decode(), body, vector) for n, kind, name, body, vector in rows]

    def _unspoken(self, encoder: str, after: int, limit: int) -> list[Any]:
        rows = self._rows(
            "SELECT seq, kind, id, body FROM {log} AS said WHERE has_words AND seq > %s AND NOT EXISTS (SELECT 1 FROM "
            "{log} WHERE kind = 'words' AND id = convert_to(said.seq || ':' || %s, 'UTF8')) ORDER BY seq LIMIT %s",
            (after, encoder, limit),
        )
        return [(n, kind, name.decode(), body) for n, kind, name, body in rows]

    def _speak(self, rows: Sequence[tuple[str, str, bytes]]) -> None:
        with self._connected().cursor() as cursor:
            cursor.executemany(
                self._sql(
                    "INSERT INTO {log} (kind, id, digest, body, has_words, vector) VALUES "
                    "('words', %s, '', %s, false, %s) ON CONFLICT DO NOTHING"
                ),
                [(name.encode(), body, vector) for name, body, vector in rows],
            )

    def _last(self) -> int:
        return int(self._rows("SELECT coalesce(max(seq), 0) FROM {log}")[0][0])

    def _first(self) -> tuple[int, str, bytes] | None:
        found = self._rows("SELECT seq, id, digest FROM {log} ORDER BY seq LIMIT 1")
        return (found[0][0], found[0][1].decode(), found[0][2]) if found else None
