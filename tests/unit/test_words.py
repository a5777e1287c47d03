"""Words of any script, where they stand, and nothing that breaks on what people paste."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmrec.words import MAX_WORDS, terms, words


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("A quiet KETTLE, 1.5 l!", ["a", "quiet", "kettle", "1", "5", "l"]),
        ("Straße ＡＢＣ ﬁne", ["strasse", "abc", "fine"]),
        ("नमस्ते दुनिया", ["नमस्ते", "दुनिया"]),
        ("Máy sấy tóc", ["máy", "sấy", "tóc"]),
        ("สวัสดี", ["สว", "วั", "ัส", "สด", "ดี"]),
        ("😀😀 … _", []),
        ("", []),
    ],
)
def test_words_are_cut_by_their_script(text: str, expected: list[str]) -> None:
    assert terms(text) == expected


def test_chinese_is_cut_by_its_dictionary() -> None:
    found = terms("我想要一把安静的吉他")
    assert "吉他" in found and "安静" in found and "把安" not in found


def test_traditional_and_simplified_chinese_are_the_same_words() -> None:
    traditional, now = "這個耳機的電池壽命很長，聲音清晰", "这个耳机的电池寿命很长，声音清晰"
    assert terms(traditional) == terms(now) and "电池" in terms(traditional)
    found = words(traditional)
    assert [traditional[w.start : w.end] for w in found if w.term == "电池"] == ["電池"]  # quoted as it was written


@given(st.text(max_size=200))
def test_a_word_stands_where_it_says(text: str) -> None:
    found = words(text)
    assert [w.term for w in found] == terms(text)
    assert [w.start for w in found] == sorted(w.start for w in found)
    for word in found:
        assert word.term in terms(text[word.start : word.end])


def test_a_book_pasted_is_cut() -> None:
    for book in ("ab " * 2 * MAX_WORDS, "的" * 2 * MAX_WORDS, "ab " * (MAX_WORDS - 1) + "สวัสดีสวัสดี"):
        assert len(words(book)) == len(terms(book)) == MAX_WORDS and [w.term for w in words(book)] == terms(book)


def test_a_long_run_of_chinese_is_cut_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    import jieba

    cut, seen = jieba.cut, list[int]()
    monkeypatch.setattr(jieba, "cut", lambda text: (seen.append(len(text)), cut(text))[1])
    text = "的" * 5_000 + "安静的吉他"
    found = words(text)
    assert max(seen) <= 1_000  # its time grows with the square
    assert "".join(word.term for word in found) == text and found[-1].term == "吉他"
