"""A log in one SQLite file: write-ahead, and on the disk when a commit returns (https://sqlite.org/wal.html)."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def open_log(path: str, schema: str, version: int, setting: str) -> sqlite3.Connection:
    """Open the file, made where there is none. Raises ValueError, naming the `setting`, for one that is no such log."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    db = sqlite3.connect(path, timeout=10, isolation_level=None, check_same_thread=False)
    try:
        mode = db.execute("PRAGMA journal_mode=WAL").fetchone()[0]
        db.execute("PRAGMA synchronous=FULL")
        found = db.execute("PRAGMA user_version").fetchone()[0]
        if mode != "wal" or found not in (0, version):
            raise ValueError(
                f"{setting} {path}: found format {found}, journal {mode!r}, expected {version} and 'wal'; "
                "give a file of its own on a local disk"
            )
        with writing(db):
            for statement in filter(str.strip, schema.split(";")):
                db.execute(statement)
            db.execute(f"PRAGMA user_version={version}")
    except sqlite3.DatabaseError as error:
        raise ValueError(f"{setting} {path}: not such a log: {error}; give another file") from None
    return db


@contextmanager
def writing(db: sqlite3.Connection) -> Iterator[None]:
    """One transaction: all of it or nothing."""
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:  # a full disk may have ended it already
            db.execute("ROLLBACK")
        raise
