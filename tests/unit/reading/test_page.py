"""The page counts, marks and escapes; what reaches a person is held back."""

import pytest

from llmrec.reading.page import AspectPage, marked
from llmrec.reading.private import HELD_BACK, hold_back
from llmrec.reading.readers.lexicon import read_by_words

FACTS = {"reader": "lexicon", "texts": 2, "read": 2, "failed": 0, "spans_dropped": 0, "prompt_tokens": 12,
         "output_tokens": 3, "seconds": 1.5, "money": 0.25}  # fmt: skip


def test_shares_and_judgements_are_counted_by_year() -> None:
    page = AspectPage()
    said = ["An excellent battery <b>indeed</b>", "Terrible battery.", "A present."]
    for text, year in zip(said, (2013, 2013, 2014), strict=True):
        page.add(read_by_words(text).model_dump(), (year - 1970) * 31_557_600_000 + 10**10, text)
    shown = page.html(FACTS)
    assert "<th>2013</th><th>2014</th>" in shown and "100.0" in shown and "+0.00" in shown
    assert "An excellent <mark>battery</mark> &lt;b&gt;indeed" in shown and "<b>indeed" not in shown


@pytest.mark.parametrize("private", [
    "a.b+c@mail.example.com", "someone (at) site [dot] org", "名字@例子.公司", "+49 (0)30 123-456", "138 0013 8000",
    "555-123-4567", "(020) 7946 0958",
])  # fmt: skip
def test_addresses_and_numbers_are_held_back(private: str) -> None:
    assert hold_back(f"Write to {private}, it works") == f"Write to {HELD_BACK}, it works"
    shown = marked(f"battery: {private}", 0, 7)
    assert private not in shown and shown.startswith("<mark>battery</mark>")


@pytest.mark.parametrize("harmless", ["in 2013", "it costs 1299.99", "10 x 15 cm", "100%", "a 3-4 hour drive", "@home"])
def test_other_numbers_stay(harmless: str) -> None:
    assert hold_back(harmless) == harmless


def test_accuracy_is_that_of_likes_against_dislikes_and_the_cost_is_told() -> None:
    page = AspectPage()
    for text, stars in (("Excellent!", 5.0), ("Terrible.", 1.0), ("Terrible.", 3.0), ("Great.", None)):
        page.add(read_by_words(text).model_dump(), 10**12, text, stars)
    assert page.auc() == (1.0, 2)
    shown = page.html(FACTS)
    assert "AUC 1.000 over 2 reviews" in shown and "12 tokens read, 3 written, 1.5 s" in shown and "0.2500 at" in shown
    assert AspectPage().auc() is None and "AUC" not in AspectPage().html(FACTS)
