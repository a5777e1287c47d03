"""The reader that a bundle takes along reads a newcomer's words as it read the reviews."""

import json

import numpy as np
import pytest

from llmrec.config import ReviewReadingConfig
from llmrec.reading.layout import PLACES, WIDTH
from llmrec.reading.readers.base import ReaderSpec
from llmrec.reading.readers.lexicon import read_by_words
from llmrec.reading.served import ServedReader
from llmrec.reading.vectors import reading_row

VECTOR = np.array([1, 0], np.float32)


def served(name: str, **state: np.ndarray) -> ServedReader:
    made = ReaderSpec(name, ReviewReadingConfig(reader=name), state, "f").served()
    return ServedReader.model_validate_json(json.dumps(made))  # as a bundle holds it


def test_word_lists_read_as_in_the_job() -> None:
    text = "The battery is excellent."
    np.testing.assert_array_equal(served("lexicon").row(text, VECTOR), reading_row(read_by_words(text)))


def test_a_head_judges_the_vector() -> None:
    weights = np.array([[-3, 3], [0, 0], [3, -3]], np.float32)
    reader = served("head", weights=weights, bias=np.zeros(3, np.float32))
    good, bad = (reader.row("words", sign * VECTOR)[PLACES["sentiment"]][0] for sign in (1, -1))
    assert good == pytest.approx(-bad) and good > 0.9
    assert reader.row("🙂", VECTOR).shape == (WIDTH,)


@pytest.mark.parametrize(("name", "reads"), [("lexicon", True), ("head", True), ("choose", False), ("generate", False)])
def test_an_engine_does_not_read_while_somebody_waits(name: str, reads: bool) -> None:
    assert served(name).within_a_request == reads
