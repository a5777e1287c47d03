"""The log: what was acknowledged is there whatever dies, and there once."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from factories.disk import full_disk

from llmrec.live.event_log import Appended, ConflictError, EventLog, Fact

#: Appends batches of events for ever, and says after each which numbers are on the disk.
WRITER = """
import sys
from llmrec.live.event_log import EventLog, Fact
log, n = EventLog(sys.argv[1]), int(sys.argv[2])
while True:
    facts = [Fact("event", f"e{k}", {"k": k}, {"k": k}) for k in range(n, n + 5)]
    log.append([facts])
    n += 5
    print(n, flush=True)
"""


def event(name: str, **said: Any) -> Fact:
    return Fact("event", name, said, said)


@pytest.fixture
def log(tmp_path: Path) -> EventLog:
    return EventLog(str(tmp_path / "deep" / "log.sqlite"))


def kill_writers(path: str, times: int, seed: int) -> None:
    """SIGKILL a writer at random, again and again: all that it said is on the disk is there, and once."""
    rng, said = np.random.default_rng(seed), 0
    for _ in range(times):
        with subprocess.Popen(
            [sys.executable, "-c", WRITER, path, str(said)], stdout=subprocess.PIPE, text=True
        ) as writer:
            assert writer.stdout is not None
            for _ in range(int(rng.integers(1, 40))):
                said = int(writer.stdout.readline())
            os.kill(writer.pid, signal.SIGKILL)
            said = max([said, *map(int, writer.stdout.read().split())])
        found = [entry.body["k"] for entry in EventLog(path).since(0, 1_000_000)]
        assert found[:said] == list(range(said))
        assert found == list(range(len(found))) and len(found) - said in (0, 5)  # committed, and not said any more
        said = len(found)


def test_what_was_acknowledged_survives_sigkill_and_is_there_once(tmp_path: Path) -> None:
    kill_writers(str(tmp_path / "log.sqlite"), 1, 0)


@pytest.mark.slow
def test_twenty_kills_lose_nothing(tmp_path: Path) -> None:
    kill_writers(str(tmp_path / "log.sqlite"), 20, 1)


def test_on_a_full_disk_what_was_acknowledged_holds_and_the_next_is_taken_when_there_is_room(tmp_path: Path) -> None:
    path = str(tmp_path / "log.sqlite")
    log, taken, refused = EventLog(path), list[str](), 0
    with full_disk(120_000):
        for n in range(60):
            try:
                log.append([[event(f"e{n}", words="x" * 500)]])
                taken.append(f"e{n}")
            except sqlite3.Error:
                refused += 1
    assert len(taken) > 3 < refused
    log.append([[event("after")]])
    assert [entry.id for entry in EventLog(path).since(0, 1_000)] == [*taken, "after"]


def test_a_commit_waits_for_the_disk(log: EventLog) -> None:
    assert log._db.execute("PRAGMA synchronous").fetchone() == (2,)  # FULL
    assert log._db.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_an_id_is_logged_once_and_a_contradiction_refuses_its_batch(log: EventLog) -> None:
    assert log.append([[event("a", stars=1), event("b")]]) == [Appended(2, 0, 2)]
    again, within, conflict, other = log.append([
        [event("a", stars=1), event("c")], [event("d"), event("d")], [event("f"), event("a", stars=2)], [event("g")]
    ])  # fmt: skip
    assert (again, within, other) == (Appended(1, 1, 3), Appended(1, 1, 4), Appended(1, 0, 5))
    assert isinstance(conflict, ConflictError) and conflict.places == (1,)
    within = log.append([[event("h", stars=1), event("h", stars=2)]])[0]
    assert isinstance(within, ConflictError) and within.places == (1,)
    assert [entry.id for entry in log.since(0, 9)] == ["a", "b", "c", "d", "g"]
    assert [entry.id for entry in log.since(2, 2)] == ["c", "d"]


def test_other_connections_see_what_was_committed_and_go_on_with_its_numbers(log: EventLog) -> None:
    log.append([[event("a", words="é 琴")]])
    other = EventLog(log.path)
    assert [(entry.seq, entry.body) for entry in other.since(0, 9)] == [(1, {"words": "é 琴"})]
    assert other.append([[event("a", words="é 琴"), event("b")]]) == [Appended(1, 1, 2)]
    assert log.last() == 2


def test_words_are_spoken_once_an_encoder(log: EventLog) -> None:
    log.append([[event("a", words="loud"), event("b"), event("c", words="quiet")]])
    assert [entry.id for entry in log.unspoken("f", 0, 9)] == ["a", "c"]
    vector = np.array([1, 2], np.float32)
    for _ in range(2):
        log.speak("f", [(1, vector), (3, None)])
    assert log.unspoken("f", 0, 9) == []
    assert [entry.id for entry in log.unspoken("another", 1, 9)] == ["c"]
    spoken = log.since(3, 9)
    assert [entry.body for entry in spoken] == [{"of": 1, "encoder": "f"}, {"of": 3, "encoder": "f"}]
    assert spoken[0].vector is not None and spoken[0].vector.tolist() == [1, 2] and spoken[1].vector is None


def test_ids_are_found_by_an_index(log: EventLog) -> None:
    plan = log._db.execute(
        "EXPLAIN QUERY PLAN SELECT id, digest FROM log WHERE kind = 'event' AND id IN ('a')"
    ).fetchall()
    assert "event_once" in json.dumps(plan)


@pytest.mark.parametrize("content", ["not a database, and long enough to be one" * 40, None])
def test_a_file_that_is_no_log_is_refused_by_name(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "other"
    if content is None:
        with sqlite3.connect(path) as other:
            other.execute("PRAGMA user_version=7")
    else:
        path.write_text(content)
    with pytest.raises(ValueError, match=r"serving\.live\.path .*other: .*give a"):
        EventLog(str(path))
