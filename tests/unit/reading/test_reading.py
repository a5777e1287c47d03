"""What a reader may say, and what the store and the features make of it."""

from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from llmrec.encoding.store.keys import keys_array, text_keys
from llmrec.reading.layout import PLACES, WIDTH
from llmrec.reading.readers.lexicon import read_by_words, shares
from llmrec.reading.reading import AspectSpan, Reading, Readings, held_to, verbatim
from llmrec.reading.store import ReadingStore
from llmrec.reading.text.words import CATEGORIES
from llmrec.reading.vectors import ReadingVectors, reading_row

TEXTS = {
    "en": "Great tuner! The battery lasts for a whole week, but the case is not sturdy.",
    "zh": "噪音大得可怕。电池可以用整整一周,非常好。",
    "mixed": "很好 good 🙂\nquiet, ½ “quoted” ﬁnish",
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_every_span_is_verbatim_at_its_offsets(text: str) -> None:
    reading = read_by_words(text)
    assert reading.error is None and reading.aspects
    assert all(verbatim(text, span) for span in (*reading.aspects, *reading.attributes))


def test_aspects_are_judged_by_their_clause_or_by_themselves() -> None:
    found = {a.category: a.polarity for a in read_by_words("It is noisy. I love the sound! Not sturdy.").aspects}
    assert found["noise"] == -1 and found["sound"] > 0 and found["durability"] == -1
    wished = read_by_words("I was looking for something waterproof.").aspects
    assert [(a.category, a.polarity) for a in wished] == [("water", 0.0)]


def test_sentiment_knows_both_languages() -> None:
    for good, bad in (
        ("I love it, excellent!", "Terrible, a waste of money."),
        ("非常好,很喜欢。", "太差了,质量很糟糕。"),
    ):
        better, worse = read_by_words(good), read_by_words(bad)
        assert better.sentiment is not None and worse.sentiment is not None
        assert better.sentiment > 0 > worse.sentiment


@pytest.mark.parametrize("text", ["", "🙂🙂", "   ", "12345 !!!"])
def test_a_text_without_a_word_is_an_error_of_its_row(text: str) -> None:
    assert read_by_words(text) == Reading(error="no word to read")


def test_a_long_text_is_read_at_its_beginning() -> None:
    assert read_by_words("good battery " * 10_000).sentiment is not None


def test_shares_have_the_sentiment_as_their_mean() -> None:
    for sentiment in (-1.0, -0.3, 0.0, 0.7):
        given = shares(sentiment)
        assert given["positive"] - given["negative"] == pytest.approx(sentiment)
        assert sum(given.values()) == pytest.approx(1)


def test_what_does_not_hold_is_refused_or_dropped() -> None:
    for wrong in ({"sentiment": 2}, {"intent": "rant"}, {"unknown": 1}, {"positive": float("nan")}):
        with pytest.raises(ValidationError):
            Reading.model_validate(wrong)
    with pytest.raises(ValidationError, match="expected its end behind its start"):
        AspectSpan(term="a", category="b", polarity=0, start=3, end=3)
    said = AspectSpan(term="battery", category="battery", polarity=1, start=4, end=11)
    false = said.model_copy(update={"start": 5, "end": 12})
    kept = held_to("The battery is good", Reading(sentiment=1, aspects=(said, false)))
    assert kept.aspects == (said,) and kept.dropped == 1


def test_the_store_gives_back_what_it_was_given(tmp_path: Path) -> None:
    values = tuple(read_by_words(text) for text in TEXTS.values())
    keys = [str(key) for key in text_keys("reader", list(TEXTS.values()))]
    store = ReadingStore(str(tmp_path), "reader")
    store.commit(keys, Readings(values, np.arange(3, dtype=np.int32)), width=2)
    other = text_keys("reader", ["never read"])[0]
    assert store.read(keys_array([*keys, str(other)])) == [*values, None]
    found = ReadingVectors(store).find([str(other), keys[0]])
    assert found.present.tolist() == [False, True] and not found.vectors[0].any()
    np.testing.assert_array_equal(found.vectors[1], reading_row(values[0]))


def test_a_row_holds_what_was_read() -> None:
    praised = AspectSpan(term="battery", category="battery", polarity=0.5, start=0, end=7)
    blamed = AspectSpan(term="noise", category="noise", polarity=-1, start=8, end=13)
    row = reading_row(Reading(sentiment=0.25, negative=0.1, positive=0.35, aspects=(praised, blamed), intent="praise"))
    battery, noise = CATEGORIES.index("battery"), CATEGORIES.index("noise")
    assert row.shape == (WIDTH,) and row[PLACES["read"]].tolist() == [1]
    np.testing.assert_allclose(row[PLACES["sentiment"]], [0.25, 0.1, 0.35])
    assert row[PLACES["praised"]][battery] == 0.5 and row[PLACES["blamed"]][noise] == 1
    assert row[PLACES["spoken"]].sum() == 2 and row[PLACES["praised"]].sum() == 0.5
    assert not reading_row(Reading(error="unreadable")).any()
