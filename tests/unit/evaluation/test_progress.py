"""An evaluation says what it is at, and that it still is."""

import logging
import threading

import pytest

from llmrec.evaluation.progress import told


def test_a_long_step_is_told_again_until_the_next(caplog: pytest.LogCaptureFixture) -> None:
    again = threading.Event()

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.getMessage().startswith("temporal: ease: "):
                again.set()

    listener, log = Listener(), logging.getLogger("llmrec.evaluation.progress")
    log.addHandler(listener)
    try:
        with caplog.at_level(logging.INFO, log.name), told(0.01) as say:
            say("temporal: ease")
            assert again.wait(30), "a step that lasts is silent"
            say("temporal: ials")
    finally:
        log.removeHandler(listener)
    said = [record.getMessage() for record in caplog.records]
    assert said[0] == "temporal: ease" and "temporal: ials" in said
    last = said.index("temporal: ials")
    assert not any(words.startswith("temporal: ease") for words in said[last:])


def test_an_error_in_a_step_ends_the_telling() -> None:
    before = threading.active_count()
    with pytest.raises(ZeroDivisionError), told(0.01):
        raise ZeroDivisionError
    assert threading.active_count() == before
