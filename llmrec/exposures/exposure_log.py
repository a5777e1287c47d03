"""The log of what was shown: one SQLite file beside that of the events, with what came back joined to it.

Old lists leave it: it is as long as it is told to be. Several processes of one machine may write and read.
"""

import json
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from llmrec.config.data.events import OutcomeConfig
from llmrec.exposures.served_list import TAKEN, Feedback, Said, ServedList
from llmrec.live.event_log import Entry
from llmrec.live.sqlite_file import open_log, writing

_FORMAT = 1
_SCHEMA = """
CREATE TABLE IF NOT EXISTS lists (
  seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, user TEXT NOT NULL, time INTEGER NOT NULL,
  experiment TEXT, arm TEXT, body TEXT NOT NULL, contexts BLOB);
CREATE INDEX IF NOT EXISTS shown_to ON lists (user, time);
CREATE INDEX IF NOT EXISTS shown_by ON lists (experiment, arm, time);
CREATE TABLE IF NOT EXISTS feedback (
  seq INTEGER PRIMARY KEY AUTOINCREMENT, number INTEGER NOT NULL, slot INTEGER NOT NULL, kind TEXT NOT NULL,
  time INTEGER NOT NULL, UNIQUE (number, slot, kind));
CREATE TABLE IF NOT EXISTS said (
  id TEXT NOT NULL, item TEXT NOT NULL, kind TEXT NOT NULL, time INTEGER NOT NULL, PRIMARY KEY (id, item, kind));
CREATE TABLE IF NOT EXISTS stopped (experiment TEXT, arm TEXT, why TEXT, time INTEGER, PRIMARY KEY (experiment, arm));
CREATE TABLE IF NOT EXISTS joined (name TEXT PRIMARY KEY, seq INTEGER NOT NULL);
"""
_COLUMNS = "seq, id, user, time, experiment, arm, body, contexts"
#: How much earlier than its list an event may be stamped: many stamps are whole seconds.
_CLOCK_MS = 999
#: A user's last lists that an event is looked up in, so that nobody makes a look-up long.
_LOOKED_AT = 1_000


@dataclass(frozen=True)
class Tally:
    """How many lists of an arm were logged, to how many users, and how many of them got feedback."""

    lists: int
    users: int
    answered: int


class ExposureLog:
    """One connection; its methods may be called from any thread, one at a time."""

    def __init__(self, path: str) -> None:
        """Open the file, made where there is none. Raises ValueError for one that is no such log."""
        self.path, self._lock = path, threading.Lock()
        self._db = open_log(path, _SCHEMA, _FORMAT, "serving.exposures.path")

    def close(self) -> None:
        """Give the file back."""
        self._db.close()

    def append(self, lists: Iterable[ServedList], said: Iterable[Said] = ()) -> int:
        """Log all of them in one commit; what is there already is left as it is. Returns how much was new."""
        rows = [
            (s.list_id, s.user, s.time, s.experiment, s.arm, json.dumps(s.body(), ensure_ascii=False), s.blob())
            for s in lists
        ]
        told = [(s.list_id, s.item, s.kind, s.time) for s in said]
        with self._lock, writing(self._db):
            before = self._db.total_changes
            self._db.executemany(f"INSERT OR IGNORE INTO lists ({_COLUMNS[5:]}) VALUES (?,?,?,?,?,?,?)", rows)
            self._db.executemany("INSERT OR IGNORE INTO said VALUES (?,?,?,?)", told)
            return self._db.total_changes - before

    def join_said(self, window_ms: int) -> int:
        """What clients said of lists that are there now, within the window, becomes feedback; returns how much."""
        with self._lock, writing(self._db):
            found = self._db.execute(
                "SELECT said.rowid, lists.seq, lists.time, lists.body, said.item, said.kind, said.time "
                "FROM said JOIN lists ON lists.id = said.id"
            ).fetchall()
            rows = [
                (number, slot, kind, time) for _, number, shown, body, item, kind, time in found
                if 0 <= time - shown <= window_ms and (slot := _slot(body, item)) is not None
            ]  # fmt: skip
            self._db.executemany("DELETE FROM said WHERE rowid = ?", [row[:1] for row in found])
            return self._feed(rows)

    def join_events(self, entries: Sequence[Entry], window_ms: int, up_to: int, outcome: OutcomeConfig) -> int:
        """The `outcome`'s events become feedback of the last list that showed this item to this user within the window
        before; events of other kinds (a view, an impression) are none.

        `up_to`: the event log's number that is then joined. Returns how many were.
        """
        with self._lock, writing(self._db):
            taken = [e for e in entries if e.kind == "event" and e.is_asked(outcome)]
            rows = [row for e in taken if (row := self._last_shown(e.body, window_ms))]
            self._db.execute("INSERT OR REPLACE INTO joined VALUES ('events', ?)", (up_to,))
            return self._feed(rows)

    def joined(self) -> int:
        """The event log's number up to which it was joined."""
        with self._lock:
            found = self._db.execute("SELECT seq FROM joined").fetchone()
        return int(found[0]) if found else 0

    def _last_shown(self, event: dict[str, object], window_ms: int) -> tuple[int, int, str, int] | None:
        time = int(event["time"])  # type: ignore[call-overload]
        shown = self._db.execute(
            "SELECT seq, body FROM lists WHERE user = ? AND time BETWEEN ? AND ? ORDER BY time DESC, seq DESC LIMIT ?",
            (event["user"], time - window_ms, time + _CLOCK_MS, _LOOKED_AT),
        )
        slots = ((number, _slot(body, event["item"])) for number, body in shown)
        return next(((number, slot, TAKEN, time) for number, slot in slots if slot is not None), None)

    def _feed(self, rows: Sequence[tuple[int, int, str, int]]) -> int:
        before = self._db.total_changes
        self._db.executemany("INSERT OR IGNORE INTO feedback (number, slot, kind, time) VALUES (?,?,?,?)", rows)
        return self._db.total_changes - before

    def lists(self, after: int = 0, limit: int = -1, experiment: str | None = None) -> Iterator[tuple[int, ServedList]]:
        """Numbers and lists behind number `after`, in order; `limit` −1: all. `experiment`: its own alone."""
        where = "seq > ?" if experiment is None else "seq > ? AND experiment = ?"
        told = (after, limit) if experiment is None else (after, experiment, limit)
        with self._lock:
            found = self._db.execute(
                f"SELECT {_COLUMNS} FROM lists WHERE {where} ORDER BY seq LIMIT ?", told
            ).fetchall()
        return ((row[0], _served(row)) for row in found)

    def numbered(self, numbers: Sequence[int]) -> dict[int, ServedList]:
        """The lists of these numbers that are still there."""
        found = dict[int, ServedList]()
        with self._lock:
            for start in range(0, len(numbers), 500):
                some = numbers[start : start + 500]
                marks = ",".join("?" * len(some))
                rows = self._db.execute(f"SELECT {_COLUMNS} FROM lists WHERE seq IN ({marks})", list(some))
                found |= {row[0]: _served(row) for row in rows}
        return found

    def feedback(self, after: int = 0, limit: int = -1) -> list[Feedback]:
        """Feedback behind number `after`, in order."""
        with self._lock:
            rows = self._db.execute(
                "SELECT seq, number, slot, kind, time FROM feedback WHERE seq > ? ORDER BY seq LIMIT ?", (after, limit)
            ).fetchall()
        return [Feedback(*row) for row in rows]

    def settled(self, experiment: str, arm: str, before: int, most: int) -> tuple[int, int]:
        """Of the arm's last `most` lists from before a time (ms): how many there are, and how many got feedback."""
        last = "SELECT seq FROM lists WHERE experiment = ? AND arm = ? AND time < ? ORDER BY time DESC LIMIT ?"
        answered = "SELECT count(DISTINCT number) FROM feedback WHERE number IN (SELECT seq FROM last)"
        with self._lock:
            found = self._db.execute(
                f"WITH last AS ({last}) SELECT (SELECT count(*) FROM last), ({answered})",
                (experiment, arm, before, most),
            ).fetchone()
        return int(found[0]), int(found[1])

    def tallies(self, experiment: str, arms: Sequence[str]) -> dict[str, Tally]:
        """Arm -> what it showed so far; lists that are drafted from several arms have none."""
        answered = "(SELECT count(DISTINCT number) FROM feedback WHERE number = lists.seq)"
        with self._lock:
            rows = self._db.execute(
                f"SELECT arm, count(*), count(DISTINCT user), sum({answered}) FROM lists WHERE experiment = ? "
                "GROUP BY arm",
                (experiment,),
            ).fetchall()
        found = {arm: Tally(*counts) for arm, *counts in rows}
        return {arm: found.get(arm, Tally(0, 0, 0)) for arm in arms}

    def stop(self, experiment: str, arm: str, why: str, time: int) -> None:
        """From now on nobody is given the arm; the first reason stays."""
        with self._lock, writing(self._db):
            self._db.execute("INSERT OR IGNORE INTO stopped VALUES (?,?,?,?)", (experiment, arm, why, time))

    def stopped(self) -> dict[tuple[str, str], str]:
        """(experiment, arm) -> why it was stopped."""
        with self._lock:
            rows = self._db.execute("SELECT experiment, arm, why FROM stopped").fetchall()
        return {(experiment, arm): why for experiment, arm, why in rows}

    def stop_times(self, experiment: str) -> dict[str, int]:
        """Arm -> when it was stopped, ms."""
        with self._lock:
            return dict(self._db.execute("SELECT arm, time FROM stopped WHERE experiment = ?", (experiment,)))

    def prune(self, most: int, oldest: int) -> int:
        """Keep the last `most` lists, none from before `oldest` (ms); returns how many went, with their feedback."""
        with self._lock, writing(self._db):
            last = self._db.execute("SELECT coalesce(max(seq), 0) FROM lists").fetchone()[0]
            gone = self._db.execute("DELETE FROM lists WHERE seq <= ? OR time < ?", (last - most, oldest)).rowcount
            if gone:
                self._db.execute("DELETE FROM feedback WHERE number NOT IN (SELECT seq FROM lists)")
            self._db.execute("DELETE FROM said WHERE time < ?", (oldest,))
            return int(gone)

    def forget(self, user: str) -> int:
        """Erase a user's lists and what came back; returns how many lists. The file is written anew."""
        with self._lock:
            with writing(self._db):
                gone = self._db.execute("DELETE FROM lists WHERE user = ?", (user,)).rowcount
                self._db.execute("DELETE FROM feedback WHERE number NOT IN (SELECT seq FROM lists)")
            self._db.execute("VACUUM")
            self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            return int(gone)


def _served(row: tuple[int, str, str, int, str | None, str | None, str, bytes | None]) -> ServedList:
    _, list_id, user, time, experiment, arm, body, blob = row
    own = {"list_id": list_id, "user": user, "time": time, "experiment": experiment, "arm": arm}
    return ServedList.of(own, json.loads(body), blob)


def _slot(body: str, item: object) -> int | None:
    items = json.loads(body)["items"]
    return items.index(item) if item in items else None


#: What a disk or another process may raise.
LogError = sqlite3.Error
