"""Aspects, attributes and key phrases by words and clauses: what a reader without a language model finds."""

import re
from collections.abc import Callable

from llmrec.reading.reading import INTENTS, AspectSpan, AttributeSpan, Intent
from llmrec.reading.text.words import CLAUSE, COMPARISON, NEGATION, NUMBERED, WISH, finder

#: The sentiment of a clause in [-1, 1].
Judge = Callable[[str], float]
_MOST = 32  # spans of one text
_UNDECIDED = 0.05
_PHRASE = re.compile(r"[^\W\d_]{3,}(?: [^\W\d_]{3,}){1,2}")


def aspects_of(text: str, judge: Judge) -> tuple[AspectSpan, ...]:
    """Terms of the word list where the text has them; a term that does not judge by itself, its clause judges."""
    pattern, known = finder("aspects")
    found = list[AspectSpan]()
    for clause in CLAUSE.finditer(text):
        said, wished = clause.group(), WISH.search(clause.group())
        for match in pattern.finditer(said):
            category, sign = known[match.group().lower()]
            polarity = 0.0 if wished else _polarity(said, match.start(), sign, judge)
            start = clause.start() + match.start()
            found.append(AspectSpan(
                term=match.group(), category=category, polarity=polarity, start=start, end=start + len(match.group())
            ))  # fmt: skip
            if len(found) == _MOST:
                return tuple(found)
    return tuple(found)


def _polarity(clause: str, at: int, sign: int, judge: Judge) -> float:
    if not sign:
        value = judge(clause)
        return round(value, 4) if abs(value) >= _UNDECIDED else 0.0
    before = clause[max(0, at - 12) : at]
    return float(-sign if NEGATION.search(before) else sign)


def attributes_of(text: str) -> tuple[AttributeSpan, ...]:
    """Materials, colours, styles and measures that the text names."""
    pattern, known = finder("attributes")
    named = [(m, known[m.group().lower()][0]) for m in pattern.finditer(text)]
    measured = [(m, "measure") for m in NUMBERED.finditer(text)]
    return tuple(
        AttributeSpan(name=name, value=m.group(), start=m.start(), end=m.end()) for m, name in (*named, *measured)
    )[:_MOST]


def phrases_of(text: str, most: int = 5) -> tuple[str, ...]:
    """Runs of two or three words without a stop word, those that come most often, or first (after RAKE, Rose et al.
    2010)."""
    from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

    kept = re.sub(r"[^\W\d_]+", lambda m: "." if m.group().lower() in ENGLISH_STOP_WORDS else m.group(), text)
    phrases = [m.group() for m in _PHRASE.finditer(kept.lower()) if len(m.group()) <= 80]
    ranked = sorted(dict.fromkeys(phrases), key=lambda phrase: -phrases.count(phrase))
    return tuple(ranked[:most])


def intent_of(text: str, sentiment: float) -> Intent | None:
    """By the last sign, comparing words, and sentiment."""
    question, complaint, praise, comparison = INTENTS
    if text.rstrip().endswith(("?", "？")):
        return question
    if COMPARISON.search(text):
        return comparison
    if abs(sentiment) < _UNDECIDED:
        return None
    return praise if sentiment > 0 else complaint
