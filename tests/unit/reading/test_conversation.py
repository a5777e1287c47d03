"""Of a conversation the customer's words are read, whoever speaks first and in whatever language."""

import pytest

from llmrec.reading.readers.lexicon import read_by_words
from llmrec.reading.reading import verbatim
from llmrec.reading.text.conversation import customers_words

ENGLISH = (
    "Agent: Hello, our battery is excellent and everybody loves it!\n"
    "Anna: Mine is terrible.\nIt broke after a day.\n"
    "Agent: I am sorry. The sound is great, is it not?\n"
    "Anna: The sound is awful. Can I have a refund?"
)
CHINESE = "客服：您好，我们的电池非常好！\n买家：电池太差了，很糟糕。\n客服：音质非常好。\n买家：质量很差。"


@pytest.mark.parametrize("text", [ENGLISH, CHINESE])
def test_the_customer_is_read_and_spans_are_verbatim(text: str) -> None:
    kept, reading = customers_words(text), read_by_words(text)
    assert len(kept) == len(text) and "Agent" not in kept and "客服" not in kept
    assert reading.sentiment is not None and reading.sentiment < 0 and reading.aspects
    assert all(verbatim(text, span) and span.polarity <= 0 for span in reading.aspects)


def test_the_agent_alone_would_have_been_read_as_praise() -> None:
    agent = " ".join(line.partition(": ")[2] for line in ENGLISH.split("\n") if line.startswith("Agent"))
    sentiment = read_by_words(agent).sentiment
    assert sentiment is not None and sentiment > 0
    assert read_by_words(ENGLISH).intent == "question"


def test_without_staff_the_first_to_speak_is_the_customer() -> None:
    kept = customers_words("Ben: It is noisy.\nMaria: It is quiet.\nBen: No, noisy.\nMaria: Quiet.")
    assert "noisy" in kept and "quiet" not in kept.lower()


@pytest.mark.parametrize("text", [
    "", "Pros: quiet, light\nCons: the price", "Note: it broke.", "Sound: 5\nBattery: 4\nPrice: 3\nWeight: 2",
    "I said: it is good.\nSee https://example.com", "One line alone",
])  # fmt: skip
def test_what_is_no_conversation_stays(text: str) -> None:
    assert customers_words(text) == text


def test_a_long_text_costs_little() -> None:
    assert customers_words("a: b\n" * 20_000) == "a: b\n" * 20_000
