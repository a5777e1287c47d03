"""Cleaning keeps every language as it is and takes markup and control codes away, in bounded time."""

import time
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmrec.corpus.values.clean import clean_text

MANY = 1_000_000
# every assigned character but control codes and surrogates, "<" and "&", which may be markup
LETTERS = st.text(st.characters(exclude_categories=("Cc", "Cs"), exclude_characters="<&"))


@given(LETTERS)
def test_every_language_stays_as_it_was_written(text: str) -> None:
    cleaned = clean_text(text, MANY)
    assert (cleaned.text or "") == text.strip()
    assert cleaned.flags == []


@given(st.text())
def test_any_text_becomes_storable_and_cleaning_twice_changes_nothing(text: str) -> None:
    once = clean_text(text, MANY).text
    (once or "").encode()
    assert not any(unicodedata.category(c) == "Cc" and c not in "\t\n\r" for c in once or "")
    assert clean_text(once, MANY).text == once


@pytest.mark.parametrize(
    "text",
    [
        "非常好用的吉他弦,音色明亮。",
        "Größe paßt, très bon, año señor",
        "naïve cafe\u0301 and café",  # composed and decomposed stay different
        "👨‍👩‍👧‍👦 loves it 🏳️‍🌈 👍🏽",
        "שלום עולם \u200fעברית",
        "I <3 it, x < y > z, AT&T & R&D, 5 > 3",
        "ﾊﾝｶｸ ＦＵＬＬ",
    ],
)
def test_text_that_is_no_markup_is_untouched(text: str) -> None:
    assert clean_text(text, MANY).text == text


@pytest.mark.parametrize(
    ("raw", "clean", "flag"),
    [
        ("a<br />b", "a b", "markup"),
        ("<p>One</p><p>Two</p>", "One  Two", "markup"),
        ("<b>bo</b>ld", "bold", "markup"),
        ("it&#39;s 5&quot; &amp; &eacute;", "it's 5\" & é", "markup"),
        ("&amp;lt;b&amp;gt;twice&amp;lt;/b&amp;gt;", "twice", "markup"),
        ("<script>steal()</script>fine<!-- no -->", "fine", "markup"),
        ("nul\x00 byte", "nul byte", "nul"),
        ("bell\x07", "bell", "control"),
        ("half \ud83d of a pair", "half \ufffd of a pair", "surrogate"),
        ({"no": "text"}, None, "not_text"),
    ],
)
def test_what_is_repaired_is_counted(raw: object, clean: str | None, flag: str) -> None:
    cleaned = clean_text(raw, MANY)
    assert cleaned.text == clean
    assert cleaned.flags == [flag]


def test_long_text_is_cut_and_counted() -> None:
    assert clean_text("x" * 100_000, 100_000).flags == []
    cleaned = clean_text("好" * 100_001, 100_000)
    assert (len(cleaned.text or ""), cleaned.flags) == (100_000, ["cut"])


@pytest.mark.parametrize("empty", ["", "  \n", None, float("nan"), "<br>", "\x00", []])
def test_nothing_becomes_null(empty: object) -> None:
    assert clean_text(empty, MANY).text is None


def test_a_list_is_joined_and_a_number_written_out() -> None:
    assert clean_text(["one", "two"], MANY).text == "one\ntwo"
    assert clean_text(5, MANY).text == "5"


@pytest.mark.parametrize("attack", ["<script", "<!--", "&amp;", "&#38;#38;", "<b ", "<b<", "</style><style>"])
def test_hostile_markup_takes_bounded_time(attack: str) -> None:
    text = attack * (400_000 // len(attack))
    started = time.process_time()
    clean_text(text, 100_000)
    assert time.process_time() - started < 2
