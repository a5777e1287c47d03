"""The log: what was acknowledged is there whatever dies, and there once."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from factories.disk import full_disk
from factories.postgres import Postgres, postgres

from llmrec.live.event_log import Appended, ConflictError, EventLog, Fact, LogUnavailableError, open_event_log
from llmrec.live.sqlite_log import SqliteLog

#: Appends batches of events for ever, and says after each which numbers are on the disk.
WRITER = """
import sys
from llmrec.live.event_log import Appended, ConflictError, EventLog, Fact, LogUnavailableError, open_event_log
from llmrec.live.sqlite_log import SqliteLog
log, n = open_event_log(sys.argv[1]), int(sys.argv[2])
while True:
    facts = [Fact("event", f"e{k}", {"k": k}, {"k": k}) for k in range(n, n + 5)]
    log.append([facts])
    n += 5
    print(n, flush=True)
"""


def event(name: str, **said: Any) -> Fact:
    return Fact("event", name, said, said)


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    # a path that a socket's name can be, which is short
    with tempfile.TemporaryDirectory() as folder, postgres(Path(folder) / "pg") as server:
        yield server


@pytest.fixture(params=["sqlite", "postgres"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where a log may lie."""
    if request.param == "sqlite":
        return str(tmp_path / "deep" / "log.sqlite")
    server: Postgres = request.getfixturevalue("database")
    return server.log(f"log-{uuid.uuid4().hex[:8]}")


@pytest.fixture
def log(place: str) -> Iterator[EventLog]:
    opened = open_event_log(place)
    yield opened
    opened.close()


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
        found = [entry.body["k"] for entry in open_event_log(path).since(0, 1_000_000)]
        assert found[:said] == list(range(said))
        assert found == list(range(len(found))) and len(found) - said in (0, 5)  # committed, and not said any more
        said = len(found)


def test_what_was_acknowledged_survives_sigkill_and_is_there_once(place: str) -> None:
    kill_writers(place, 1, 0)


@pytest.mark.slow
def test_twenty_kills_lose_nothing(place: str) -> None:
    kill_writers(place, 20, 1)


def test_on_a_full_disk_what_was_acknowledged_holds_and_the_next_is_taken_when_there_is_room(tmp_path: Path) -> None:
    path = str(tmp_path / "log.sqlite")
    log, taken, refused = open_event_log(path), list[str](), 0
    with full_disk(120_000):
        for n in range(60):
            try:
                log.append([[event(f"e{n}", words="x" * 500)]])
                taken.append(f"e{n}")
            except LogUnavailableError:
                refused += 1
    assert len(taken) > 3 < refused
    log.append([[event("after")]])
    assert [entry.id for entry in open_event_log(path).since(0, 1_000)] == [*taken, "after"]


def test_a_commit_waits_for_the_disk(tmp_path: Path) -> None:
    log = SqliteLog(str(tmp_path / "log.sqlite"))
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
    other = open_event_log(log.path)
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


def test_ids_are_found_by_an_index(tmp_path: Path) -> None:
    log = SqliteLog(str(tmp_path / "log.sqlite"))
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
        open_event_log(str(path))


def test_strange_ids_and_words_come_back(log: EventLog) -> None:
    facts = [event(name, words=f"\x00 {name} 琴 👍") for name in ("a\x00b", "é", "琴" * 200, "%s {} ' \"")]
    log.append([facts])
    assert [(e.id, e.body) for e in log.since(0, 9)] == [(f.id, f.body) for f in facts]
    assert log.append([facts]) == [Appended(0, 4, 4)]


def test_another_log_has_another_identity(log: EventLog, tmp_path: Path) -> None:
    assert log.identity() == ""
    log.append([[event("a")]])
    other = open_event_log(str(tmp_path / "other"))
    other.append([[event("b")]])
    known = log.identity()
    log.append([[event("c")]])
    assert log.identity() == known != other.identity()


def test_who_follows_passes_nothing_over_while_several_write(place: str) -> None:
    """Numbers become visible in their order: what lies behind the last one seen is all that is new."""
    writers, each = 4, 60

    def write(n: int) -> None:
        log = open_event_log(place)
        for k in range(each):
            log.append([[event(f"{n}:{k}:{i}") for i in range(1 + (k + n) % 3)]])
        log.close()

    reader = open_event_log(place)
    threads = [threading.Thread(target=write, args=(n,)) for n in range(writers)]
    for thread in threads:
        thread.start()
    seen = list[str]()
    after, going = 0, True
    while going:
        going = any(thread.is_alive() for thread in threads)
        while entries := reader.since(after, 7):
            after = entries[-1].seq
            seen += [entry.id for entry in entries]
    assert len(seen) == len(set(seen)) == sum(1 + (k + n) % 3 for n in range(writers) for k in range(each))


def test_a_database_that_was_away_is_found_again(database: Postgres) -> None:
    log = open_event_log(database.log("away"))
    log.append([[event("a")]])
    database.stop()
    with pytest.raises(LogUnavailableError, match=r"postgresql://.*#away: "):
        log.append([[event("b")]])
    with pytest.raises(LogUnavailableError):
        log.since(0, 9)
    database.start()
    assert log.append([[event("a"), event("b")]])[0].duplicates == 1  # type: ignore[union-attr]
    assert [entry.id for entry in log.since(0, 9)] == ["a", "b"]


@pytest.mark.parametrize("url", ["postgresql://me:secret@h/d#x", "postgresql://h/d?password=secret#x"])
def test_a_password_is_not_for_a_url(url: str) -> None:
    with pytest.raises(ValueError, match=r"no password in the URL.*PGPASSWORD") as raised:
        open_event_log(url)
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize("url", ["mysql://h/d", "POSTGRESQL://h/d", "postgresql+psycopg://h/d", "s3://b/log.sqlite"])
def test_other_addresses_are_no_files(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=r"a file, or postgresql://HOST/DATABASE"):
        open_event_log(url)
    assert not list(tmp_path.iterdir())


def test_a_name_that_the_database_would_cut_is_refused() -> None:
    with pytest.raises(ValueError, match="a log's name of 57 bytes, expected at most 56"):
        open_event_log("postgresql://h/d#" + "n" * 57)


def test_a_server_that_is_not_there_is_told() -> None:
    with pytest.raises(LogUnavailableError, match=r"postgresql://127\.0\.0\.1:9/d#x: "):
        open_event_log("postgresql://127.0.0.1:9/d#x")


def test_one_at_a_time_holds_a_log(place: str) -> None:
    one, other = open_event_log(place), open_event_log(place)
    with one.held() as first, other.held() as second:
        assert first and not second
    with other.held() as alone:
        assert alone


def test_logs_whose_names_end_alike_hold_nothing_of_each_other(database: Postgres) -> None:
    one, other = (open_event_log(database.log(f"{name}-quickstart")) for name in ("eu", "us"))
    with one.held() as first, other.held() as second:
        assert first and second
