"""From a server's log to rows that ingest reads: what comes, what waits, what is held back, and in which words."""

from pathlib import Path
from typing import Any

import pytest

from llmrec.config import RunConfig
from llmrec.config.data.events import OutcomeConfig
from llmrec.config.serving.refresh import RefreshConfig
from llmrec.corpus import ingest
from llmrec.features.asof.logs.happened import Names
from llmrec.live.event_log import EventLog, Fact, open_event_log
from llmrec.refresh.book import Plan
from llmrec.refresh.gather import Gathered, Serving, gather, write
from llmrec.schema import C
from llmrec.storage import Storage

T = 1_700_000_000_123
LOOSE = RefreshConfig(least_held=1000)
KNOWN = Serving({"I1": 0.0, "I2": 0.0})  # of the serving bundle, which had no event


def event(name: str, user: str = "u", item: str = "I1", time: int = T, words: str | None = None) -> Fact:
    said = {"user": user, "item": item, "stars": 4.0, "words": words}
    return Fact("event", name, said, said | {"time": time})


def put(name: str, time: int = T, **told: Any) -> Fact:
    nothing = {"title": None, "brand": None, "categories": [], "description": None, "price": None, "words": None}
    return Fact("item", name, told, {**nothing, **told, "hidden": False, "time": time})


def delete(name: str) -> Fact:
    return Fact("item", name, {"hidden": True}, {"hidden": True, "time": T})


@pytest.fixture
def log(tmp_path: Path) -> EventLog:
    return open_event_log(str(tmp_path / "log.sqlite"))


def taken(log: EventLog, last: Plan | None = None, settings: RefreshConfig = LOOSE) -> Gathered:
    return gather(log, log.last(), KNOWN, last, settings)[0]


def plan_of(found: Gathered, logged: tuple[str, ...] = ()) -> Plan:
    return Plan(turn=1, bundle="b", log="l", through=found.through, events=len(found.passed()), held=found.held,
                waiting=found.waiting, logged=[*logged], held_out=1, told={})  # fmt: skip


def corpus_of(tmp_path: Path, log: EventLog, **more: Any) -> Any:
    (tmp_path / "reviews.csv").write_text(
        "user_id,item_id,timestamp,stars,text\n"
        f"u,I1,{T - 1000},5,old words\nv,I2,{T - 2000},3,\nw,I1,{T},4,said before\n"
    )
    (tmp_path / "items.csv").write_text("item_id,title,brand,price,available_from\nI1,Old lamp,Acme,9.5,2001-02-03\n")
    logged = write(str(tmp_path / "rows"), taken(log))
    config = RunConfig.model_validate({"storage": str(tmp_path / "s"), "corpus": {
        "source": "table", "reviews": f"{tmp_path}/reviews.csv", "items": f"{tmp_path}/items.csv", "logged": logged,
        "sanity": {"protocols": "warn"}, **more}})  # fmt: skip
    return ingest(config, Storage(str(tmp_path / "s")))


def test_events_become_rows_by_the_same_ingest_and_every_row_is_counted(tmp_path: Path, log: EventLog) -> None:
    log.append([[
        event("a", "新用户", "I1", T + 5, "很安静 🙂"), event("b", "w", "I1", T, "said before"), event("c", "x", "I2"),
    ]])  # fmt: skip
    made = corpus_of(tmp_path, log)
    counts = made.manifest.counts
    assert (counts["rows_in"], counts["rows_out"], counts["quarantined"]) == (6, 5, 1)  # b: a copy of a file's row
    rows = {row[C.USER_ID]: row for row in made.table("reviews").to_pylist()}
    assert rows["新用户"] | {} == rows["新用户"] and rows["新用户"][C.TEXT] == "很安静 🙂"
    assert (rows["新用户"][C.TIMESTAMP], rows["新用户"][C.STARS]) == (T + 5, 4.0)
    assert rows["x"][C.TEXT] is None
    (copy,) = made.table("quarantine").to_pylist()
    assert (copy[C.REASON], copy[C.SOURCE].endswith("rows/reviews.parquet")) == ("copy", True)


def test_the_log_has_the_last_word_on_an_item(tmp_path: Path, log: EventLog) -> None:
    log.append([[put("I1", T, title="New lamp", categories=["Light", "Garden"]), put("N", T + 7, title="first")]])
    log.append([[put("N", T + 9, title="Cup", price=3.5), event("e", item="N", time=T + 20)]])
    items = {row[C.ITEM_ID]: row for row in corpus_of(tmp_path, log).table("items").to_pylist()}
    lamp = items["I1"]
    assert (lamp[C.TITLE], lamp[C.CATEGORIES]) == ("New lamp", ["Light", "Garden"])
    assert lamp[C.BRAND] is None and lamp[C.PRICE] is None  # what a PUT leaves out is not known any more
    assert lamp[C.AVAILABLE_FROM] == 981_158_400_000  # the file's: 2001-02-03
    assert (items["N"][C.TITLE], items["N"][C.PRICE], items["N"][C.AVAILABLE_FROM]) == ("Cup", 3.5, T + 7)


def test_deleted_items_come_only_where_people_have_had_them(tmp_path: Path, log: EventLog) -> None:
    log.append([[put("gone", title="Never had"), put("had", title="Had"), event("e", item="had"), delete("gone"),
                 delete("had"), delete("never told of")]])  # fmt: skip
    items = {row[C.ITEM_ID] for row in corpus_of(tmp_path, log).table("items").to_pylist()}
    assert items == {"I1", "had"}


def test_events_of_items_that_nobody_told_of_wait_and_are_judged_when_somebody_does(log: EventLog) -> None:
    log.append([[event(f"e{n}", f"u{n}", "X") for n in range(30)] + [event("known")]])
    first = taken(log)
    assert len(first.waiting) == 30 and [e.id for e in first.passed()] == ["known"]
    log.append([[put("X", title="now known")]])
    tight = RefreshConfig(least_held=5, item_share=1e-9)
    second = taken(log, plan_of(first), tight)
    assert not second.waiting and len(second.held) == 25
    assert [e.id for e in second.passed()] == [*(f"e{n}" for n in range(5)), "known"]


def test_each_event_is_judged_once(log: EventLog) -> None:
    tight = RefreshConfig(least_held=5, item_share=1e-9)
    log.append([[event(f"e{n}", f"u{n}", "I1") for n in range(8)]])
    first = taken(log, None, tight)
    assert sorted(first.held) == [6, 7, 8]
    log.append([[event(f"f{n}", f"v{n}", "I2") for n in range(1000)]])
    second = taken(log, plan_of(first))  # would have passed among so many
    assert sorted(second.held) == [6, 7, 8] and len(second.passed()) == 1005
    trusted = taken(log, plan_of(first), RefreshConfig(least_held=1000, trusted=("I1",)))
    assert not trusted.held and len(trusted.passed()) == 1008


def kind(name: str, kind: str, item: str | None = "I1", value: float | None = None, time: int = T) -> Fact:
    said = {"kind": kind, "user": "u", "item": item, "value": value, "session": "s", "text": None}
    return Fact("event", name, said, said | {"time": time})


BESIDES = Names(("dwell", "search", "view"), 2, OutcomeConfig(kind="dwell", at_least=30))


def test_events_of_other_kinds_and_relations_become_rows_and_the_outcome_is_counted(
    tmp_path: Path, log: EventLog
) -> None:
    (tmp_path / "events.csv").write_text(f"event_id,user_id,item_id,timestamp,kind\nold,u,I1,{T - 9},seen\n")
    (tmp_path / "follows.csv").write_text("follower_id,followed_id,since\nu,v,2001-02-03\n")
    log.append([[
        kind("d1", "dwell", value=45), kind("d2", "dwell", value=2), kind("old", "view"), kind("v", "view"),
        kind("q", "search", item=None), kind("x", "view", item="X"), kind("strange", "share"), event("r", "w"),
        Fact("follow", "w\tu", {}, {"user": "w", "followed": "u", "time": T}),
    ]])  # fmt: skip
    found, told = gather(log, log.last(), Serving(KNOWN.shares, BESIDES), None, LOOSE)
    assert found.interactions() == 2 and told["waiting"] == 2  # x: until the item is known; strange: of no such kind
    files = {"events": f"{tmp_path}/events.csv", "relations": f"{tmp_path}/follows.csv"}
    kinds = {"event_kinds": {"seen": "view"}, "outcome": {"dwell": {"at_least": 30}}}
    made = corpus_of(tmp_path, log, logged=write(str(tmp_path / "more"), found), **files, **kinds)
    events = {e[C.EVENT_ID]: e for e in made.table("events").to_pylist()}
    assert {n: e[C.KIND] for n, e in events.items()} == {
        "old": "view",
        "d1": "dwell",
        "d2": "dwell",
        "v": "view",
        "q": "search",
    }
    assert (events["d1"][C.VALUE], events["d1"][C.SESSION], events["q"][C.ITEM_ID]) == (45, "s", None)
    assert (
        events["old"][C.TIMESTAMP] == T - 9 and made.manifest.counts["events_quarantined"] == 1
    )  # the log's is a copy
    asked = {r[C.REVIEW_ID]: r[C.OUTCOME] for r in made.table("reviews").to_pylist()}
    assert [name for name, outcome in asked.items() if outcome] == ["event:d1"] and len(asked) == 5
    assert {(r[C.FOLLOWER_ID], r[C.FOLLOWED_ID]) for r in made.table("relations").to_pylist()} == {
        ("u", "v"),
        ("w", "u"),
    }


def test_views_make_no_room_for_what_is_bought(log: EventLog) -> None:
    log.append([[kind(f"v{n}", "view", item=f"I{n % 2 + 1}") for n in range(100)]])
    log.append([[kind(f"d{n}", "dwell", value=60) for n in range(10)]])
    tight = RefreshConfig(least_held=5, item_share=0.1, user_share=1)
    found, _ = gather(log, log.last(), Serving(KNOWN.shares, BESIDES), None, tight)
    held = [e.body["kind"] for e in found.events if e.seq in found.held]
    assert (held.count("dwell"), held.count("view")) == (5, 80)


def test_the_log_is_read_up_to_the_turns_number(log: EventLog) -> None:
    log.append([[event("a"), event("b", "v")]])
    log.append([[event("c", "w")]])
    assert [e.id for e in gather(log, 2, KNOWN, None, LOOSE)[0].events] == ["a", "b"]


def test_files_of_the_log_have_names_that_say_what_they_hold(tmp_path: Path, log: EventLog) -> None:
    log.append([[event("a")]])
    (tmp_path / "other.parquet").write_bytes(b"")
    with pytest.raises(ValueError, match=r"expected files named reviews\* or items\* or events\* or relations\*"):
        corpus_of(tmp_path, log, logged=f"{tmp_path}/other.parquet")
