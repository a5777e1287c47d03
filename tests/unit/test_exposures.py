"""Which list an event is the feedback of."""

from pathlib import Path

import pytest

from llmrec.config.data.events import OutcomeConfig
from llmrec.exposures import ExposureLog, ServedList
from llmrec.live.event_log import Entry

HOUR = 3_600_000


def shown(name: str, user: str, time: int, *items: str) -> ServedList:
    return ServedList(name, user, time, "bundle", items)


@pytest.mark.parametrize(
    ("user", "item", "time", "found"),
    [("u", "a", 10 * HOUR + 5, (3, 0)),  # of two lists that show it, the last one
     ("u", "a", 9 * HOUR, (1, 1)),  # told late: as of its own time
     ("u", "b", 10 * HOUR - 500, (3, 1)),  # stamped by the second
     ("u", "b", 10 * HOUR - 1_500, None),  # before the list that showed it
     ("u", "c", 11 * HOUR, (2, 0)), ("u", "c", 12 * HOUR, None),  # the window is over
     ("v", "a", 10 * HOUR + 5, None), ("用户🙂", "琴", 10 * HOUR, (4, 0))],
)  # fmt: skip
def test_an_event_is_of_the_last_list_that_showed_the_item(
    tmp_path: Path, user: str, item: str, time: int, found: tuple[int, int] | None
) -> None:
    log = ExposureLog(str(tmp_path / "log"))
    lists = [shown("1", "u", 8 * HOUR, "x", "a"), shown("2", "u", 9 * HOUR + 1, "c"),
             shown("3", "u", 10 * HOUR, "a", "b"), shown("4", "用户🙂", 10 * HOUR, "琴")]  # fmt: skip
    assert log.append(lists) == 4 and log.append(lists) == 0
    event = Entry(7, "event", "e", {"user": user, "item": item, "time": time})
    words = Entry(8, "words", "w", {"of": 7})
    view = Entry(6, "event", "v", {"kind": "view", "user": user, "item": item, "time": time, "value": None})
    bought = Entry(7, "event", "b", view.body | {"kind": "purchase"})
    asked = OutcomeConfig(kind="purchase")
    assert log.join_events([view, event, words], 2 * HOUR, 6, asked) == 0  # seen, or reviewed: not bought
    assert log.join_events([bought, words], 2 * HOUR, 8, asked) == (found is not None)
    assert log.join_events([event, bought], 2 * HOUR, 8, OutcomeConfig()) == 0 and log.joined() == 8  # once a list
    assert [(f.number, f.slot, f.kind) for f in log.feedback()] == ([] if found is None else [(*found, "taken")])
    assert [s for _, s in log.lists()] == lists


def test_what_was_written_is_there_after_a_crash(tmp_path: Path) -> None:
    log = ExposureLog(str(tmp_path / "log"))
    log.append([shown("1", "u", 0, "a")])
    again = ExposureLog(str(tmp_path / "log"))  # the first one never closed its file
    assert [s.list_id for _, s in again.lists()] == ["1"]
