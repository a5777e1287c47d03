"""Of an item's reviews that is said which praises most what the user speaks of, with numbers that are true."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from llmrec.reading.layout import PLACES, WIDTH
from llmrec.reading.text.words import CATEGORIES
from llmrec.reasons.aspects import praised_aspects
from llmrec.reasons.statements import kind_of, statements


def state(**sums: dict[str, float]) -> Any:
    reading = np.zeros((1, 2, WIDTH), np.float32)
    for part, by_aspect in sums.items():
        for aspect, value in by_aspect.items():
            reading[0, 0, PLACES[part]][CATEGORIES.index(aspect)] = value
    return SimpleNamespace(reading=reading)


ITEM = state(spoken={"battery": 14, "noise": 5, "price": 9}, praised={"battery": 9, "noise": 4.5, "price": 1},
             blamed={"battery": 2, "price": 6})  # fmt: skip


@pytest.mark.parametrize(
    ("user", "item", "said"),
    [
        (state(spoken={"battery": 2, "price": 1}), ITEM,
         "you speak of battery; 14 reviews speak of its battery, most of them praise it"),
        (state(), ITEM, "5 reviews speak of its noise, most of them praise it"),
        (state(spoken={"price": 3}), ITEM, "5 reviews speak of its noise, most of them praise it"),
        (state(), state(spoken={"feel": 1}, praised={"feel": 0.6}), "a review praises its feel"),
        (state(), state(spoken={"feel": 8}, praised={"feel": 3}, blamed={"feel": 1}),
         "8 reviews speak of its feel, with more praise than blame"),
        (state(), state(spoken={"feel": 2}, blamed={"feel": 2}), None),
        (state(), state(), None),
    ],
)  # fmt: skip
def test_what_is_praised(user: Any, item: Any, said: str | None) -> None:
    assert praised_aspects(user, item) == [said]


def test_readings_are_a_reason_of_their_own() -> None:
    assert (kind_of("text_read_match"), kind_of("text_read_profiles"), kind_of("text_similarity")) == (
        "aspects", "words", "words",
    )  # fmt: skip
    terms = {"text_read_match": 0.5, "text_read_item": 0.2, "log_popularity": 0.1}
    named, plain = statements(terms, [], 3, 3, "a review praises its feel"), statements(terms, [], 3, 3)
    assert (named[0].kind, named[0].statement) == ("aspects", "a review praises its feel")
    assert named[0].effect == pytest.approx(0.7)
    assert plain[0].statement.startswith("what was read in its reviews")
