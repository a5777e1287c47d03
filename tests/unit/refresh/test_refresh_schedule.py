"""`jobs.refresh --every`: turn after turn, a failed one too, until SIGTERM."""

import argparse
import os
import signal
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from jobs import refresh
from jobs.refresh import Schedule, interval
from llmrec.config import RunConfig
from llmrec.refresh.book import RefreshingError
from llmrec.storage import Storage


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def schedule(every: float) -> Schedule:
    return Schedule(RunConfig(), Storage("unused"), every)


def terminate(after: float = 0.0) -> None:
    threading.Timer(after, os.kill, (os.getpid(), signal.SIGTERM)).start()


def test_turns_follow_one_another_and_one_that_fails_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    answers: list[Any] = [{"published": None, "because": "few"}, ValueError("no disk"), {"published": {"id": "b"}}]

    def turn(*_: Any) -> dict[str, Any]:
        if not answers:
            terminate()
            time.sleep(30)
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return dict(answer)

    monkeypatch.setattr(refresh, "take_turn", turn)
    told = schedule(0.01).run()
    assert (told["turns"], told["publications"], told["failed"]) == (3, 1, 1)
    assert told["last"] == {"published": {"id": "b"}}


def test_sigterm_ends_the_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    def turn(*_: Any) -> dict[str, Any]:
        terminate(0.2)
        return {"published": None, "because": "few"}

    monkeypatch.setattr(refresh, "take_turn", turn)
    started = time.monotonic()
    assert schedule(3600).run() == {
        "stage": "refresh", "turns": 1, "publications": 0, "failed": 0, "last": {"published": None, "because": "few"}
    }  # fmt: skip
    assert time.monotonic() - started < 10


def test_sigterm_within_a_turn_ends_it_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    def turn(*_: Any) -> dict[str, Any]:
        terminate(0.05)
        time.sleep(30)
        raise AssertionError("was not stopped")

    monkeypatch.setattr(refresh, "take_turn", turn)
    started = time.monotonic()
    assert schedule(3600).run()["turns"] == 0
    assert time.monotonic() - started < 10


def test_a_single_turn_by_hand_does_not_end_a_schedule(monkeypatch: pytest.MonkeyPatch) -> None:
    answers: list[Any] = [{"published": None}, RefreshingError("by hand")]

    def turn(*_: Any) -> dict[str, Any]:
        answer = answers.pop(0)
        if not answers:
            terminate(0.2)
        if isinstance(answer, Exception):
            raise answer
        return dict(answer)

    monkeypatch.setattr(refresh, "take_turn", turn)
    made = schedule(0.01)

    def wait(_: float | None = None) -> bool:
        return made._stopping.is_set() if answers else threading.Event.wait(made._stopping, 10)

    monkeypatch.setattr(made._stopping, "wait", wait)
    told = made.run()
    assert (told["turns"], told["failed"]) == (2, 1)


def test_another_one_at_work_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def turn(*_: Any) -> dict[str, Any]:
        raise RefreshingError("another one")

    monkeypatch.setattr(refresh, "take_turn", turn)
    with pytest.raises(RefreshingError):
        schedule(1).run()


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90), ("30m", 1800), ("1h", 3600), ("1.5d", 129_600)])
def test_intervals(text: str, seconds: float) -> None:
    assert interval(text) == seconds


@pytest.mark.parametrize("text", ["", "1", "h", "0s", "-1h", "1w", "nan h", "1 h"])
def test_what_is_no_interval_is_said(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="expected a time such as 30m or 1h"):
        interval(text)
