"""Word lists: VADER (Hutto and Gilbert, ICWSM 2014) for what is written in letters, SnowNLP for Chinese."""

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np

from llmrec.reading.readers.base import ReaderSpec, ReadInputs
from llmrec.reading.reading import Reading, Readings
from llmrec.reading.text.conversation import customers_words
from llmrec.reading.text.language import is_chinese, language_of
from llmrec.reading.text.spans import aspects_of, attributes_of, intent_of, phrases_of

#: Characters that are read: VADER takes time that grows with the square of a text's length.
MAX_CHARS = 4_000


class LexiconReader:
    """Sentiment, aspects, attributes and intent by words alone. Needs no model and learns nothing."""

    def __init__(self, spec: ReaderSpec, threads: int | None = None) -> None:
        self.fingerprint = spec.fingerprint

    @classmethod
    def prepare(cls, inputs: ReadInputs) -> tuple[dict[str, Any], dict[str, Any]]:
        return {}, {"max_chars": MAX_CHARS}

    def encode(self, texts: Sequence[str]) -> Readings[Reading]:
        values = tuple(read_by_words(text) for text in texts)
        return Readings(values, np.array([len(text.split()) for text in texts], np.int32))


def read_by_words(text: str) -> Reading:
    """The reading of one text; only its beginning is read, where it is long."""
    text = customers_words(text[:MAX_CHARS])
    language = language_of(text)
    if language is None:
        return Reading(error="no word to read")
    sentiment = _judge(text)
    aspects = aspects_of(text, _judge)  # each clause by its own script
    return Reading(
        sentiment=sentiment, **shares(sentiment), aspects=aspects, attributes=attributes_of(text),
        topics=tuple(dict.fromkeys(a.category for a in aspects)), key_phrases=phrases_of(text),
        intent=intent_of(text, sentiment), language=language,
    )  # fmt: skip


def shares(sentiment: float) -> dict[str, float]:
    """A probability a class that has this sentiment as its mean: what is not one end is the other, or neither."""
    positive, negative = max(sentiment, 0.0), max(-sentiment, 0.0)
    return {"negative": negative, "neutral": 1 - positive - negative, "positive": positive}


def _judge(text: str) -> float:
    return _chinese(text) if is_chinese(text) else _vader(text)


def _vader(text: str) -> float:
    return float(_analyzer().polarity_scores(text)["compound"])


def _chinese(text: str) -> float:
    from snownlp import SnowNLP

    letters = "".join(c for c in text if c.isalnum())
    return 2 * float(SnowNLP(text).sentiments) - 1 if letters else 0.0


@cache
def _analyzer() -> Any:
    from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

    return SentimentIntensityAnalyzer()
