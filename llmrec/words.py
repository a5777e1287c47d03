"""Text to words, in any script, by one function: what static encoders count and what search compares."""

import logging
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any

_HAN = "\u3400-\u4dbf\u4e00-\u9fff\U00020000-\U0002fa1f"
#: Scripts that put no spaces between words and have no dictionary here: pairs of characters stand for words.
_UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u31f0-\u31ff\uac00-\ud7af"
MAX_WORDS = 20_000  # of one text; the rest says nothing new
_REMEMBERED = 32  # characters of a run whose words are kept
_HAN_AT_ONCE = 1_000  # characters without any mark between them; jieba's time grows with the square of such a run


@dataclass(frozen=True)
class Word:
    """A word as it is compared, and where it stands in the text."""

    term: str
    start: int
    end: int


def terms(text: str) -> list[str]:
    """The words of a text as they are compared: NFKC, case folded, Chinese simplified and cut by jieba."""
    found: list[str] = []
    for run in _runs().findall(text):
        found += _terms_again(run) if len(run) <= _REMEMBERED else _terms_of(run)
        if len(found) >= MAX_WORDS:
            return found[:MAX_WORDS]
    return found


def words(text: str) -> list[Word]:
    """The same words with their places, at most MAX_WORDS of them."""
    found = []
    for match in _runs().finditer(text):
        for word in _of_run(match.group(), match.start()):
            found.append(word)
            if len(found) == MAX_WORDS:
                return found
    return found


def prepare() -> None:
    """Load what Chinese needs (a second, 100 MB), so that nobody's request does."""
    _jieba().initialize()
    _to_simplified()


def _terms_of(run: str) -> tuple[str, ...]:
    return tuple(word.term for word in _of_run(run, 0))


#: Few words make most of any corpus: a run that was cut before is looked up.
_terms_again = lru_cache(1 << 16)(_terms_of)


def _of_run(run: str, start: int) -> Iterator[Word]:
    for part in _scripts().finditer(run):
        text, at = part.group(), start + part.start()
        if part.lastgroup == "han":
            text = simplified(text)
            for begin in range(0, len(text), _HAN_AT_ONCE):
                for piece in _jieba().cut(text[begin : begin + _HAN_AT_ONCE]):
                    yield Word(folded(piece), at, at + len(piece))
                    at += len(piece)
        elif part.lastgroup == "unspaced" and len(text) > 1:
            yield from (Word(folded(text[n : n + 2]), at + n, at + n + 2) for n in range(len(text) - 1))
        else:
            yield Word(folded(text), at, at + len(text))


def simplified(text: str) -> str:
    """Chinese in simplified characters, as many as it had: traditional ones are other letters of the same words.

    Character by character: places stay, and a word is the same whatever stands beside it. jieba's dictionary is of
    simplified ones. Source: OpenCC's table `t2s`.
    """
    return text.translate(_to_simplified())


def parts_of_speech(text: str) -> Iterator[tuple[str, str, int]]:
    """Each word as jieba cuts the text, what kind of word it takes it for, and how often its dictionary has it.

    The words are simplified, and as long together as the text.
    """
    frequency, cut, text = _jieba().get_FREQ, _tagger(), simplified(text)
    for begin in range(0, len(text), _HAN_AT_ONCE):
        for pair in cut(text[begin : begin + _HAN_AT_ONCE]):
            yield pair.word, pair.flag, frequency(pair.word) or 0


@cache
def _tagger() -> Any:
    """jieba's `posseg.cut`, with Viterbi in arrays."""
    from jieba import posseg  # its tables take half a second

    from llmrec.viterbi import Viterbi

    posseg.viterbi = Viterbi(posseg.char_state_tab_P, posseg.start_P, posseg.trans_P, posseg.emit_P)
    return posseg.cut


def folded(text: str) -> str:
    """A word as it is compared."""
    return unicodedata.normalize("NFKC", text).casefold()


@cache
def _runs() -> re.Pattern[str]:
    """Letters and digits with the marks that belong to them: Python's \\w leaves out the vowel signs of Hindi."""
    marks = "".join(chr(c) for c in range(0x300, 0x20000) if unicodedata.category(chr(c))[0] == "M")
    return re.compile(rf"(?:[^\W_]+|[{marks}]+)+")


@cache
def _scripts() -> re.Pattern[str]:
    return re.compile(rf"(?P<han>[{_HAN}]+)|(?P<unspaced>[{_UNSPACED}]+)|(?P<other>[^{_HAN}{_UNSPACED}]+)")


@cache
def _to_simplified() -> dict[int, str]:
    from opencc import OpenCC  # its dictionaries take 50 ms: only where there is Chinese

    every = [chr(c) for first, last in re.findall("(.)-(.)", _HAN) for c in range(ord(first), ord(last) + 1)]
    found = OpenCC("t2s").convert("\n".join(every)).split("\n")
    return {ord(one): other for one, other in zip(every, found, strict=True) if one != other and len(other) == 1}


@cache
def _jieba() -> Any:
    import jieba  # its dictionary takes a second and 100 MB: only where there is Chinese

    jieba.setLogLevel(logging.WARNING)
    return jieba
