"""Stars in the forms that sites write them, on the corpus's own scale."""

import math
import re
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from llmrec.corpus.values.errors import RowError, Unreadable, missing, show
from llmrec.corpus.values.numbers import written_number

_OF = re.compile(
    r"(?:rated:?\s+)?(\d+(?:[.,]\d+)?)\s*(?:/|out of|of|von|sur|de|из)\s*(\d+)"
    r"(?:\s*(?:stars?|sternen?|étoiles?|estrellas))?",
    re.I,
)
_COUNT = re.compile(r"(\d+(?:[.,]\d+)?)\s*(?:stars?|sterne?|étoiles?|estrellas?|★|⭐️?|つ星|星|颗星|顆星|점)", re.I)
_PERCENT = re.compile(r"(\d+(?:[.,]\d+)?)\s*%")
_NUMBER = re.compile(r"[-+]?\d+(?:[.,]\d+)?")
_DRAWN = re.compile(r"([★⭐]\ufe0f?)+½?\s*[☆✩]*|\*{1,10}½?|½")
_HAN = "零一二三四五六七八九十"
_WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_YES = {"true", "yes", "like", "liked", "up", "thumbs up", "recommended", "positive", "👍"}
_NO = {"false", "no", "dislike", "disliked", "down", "thumbs down", "not recommended", "negative", "👎"}


def is_yes_or_no(value: Any) -> bool:
    """Whether a value says of an item no more than that it was liked, or not."""
    return isinstance(value, bool) or (isinstance(value, str) and value.strip().lower() in _YES | _NO)


@dataclass(frozen=True)
class StarScale:
    """From `lowest` to `highest`; `not_rated` are values that mean none was given, words in lower case."""

    lowest: float = 1.0
    highest: float = 5.0
    not_rated: frozenset[Any] = field(default_factory=frozenset)


def parse_stars(value: Any, scale: StarScale) -> float | None:
    """Stars, or None where the row has none. Raises RowError for what is not on the scale."""
    kind = type(value)
    if kind is not float and kind is not int:
        if value is None or missing(value):
            return None
        stars = _read(value, scale)
    else:
        stars = value if kind is float else _float(value)
        if stars != stars:
            return None
    if stars is None or stars in scale.not_rated or value in scale.not_rated:
        return None
    if not scale.lowest <= stars <= scale.highest:
        raise RowError("stars_out_of_range", f"found {stars:g}, expected {scale.lowest:g} to {scale.highest:g}")
    return float(stars)


def _float(value: Any) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf


def _read(value: Any, scale: StarScale) -> float | None:
    if isinstance(value, (bool, str)):
        text = str(value).strip().lower()
        found = None if text in scale.not_rated else _of_text(text, scale)
        if found is None and text not in scale.not_rated:
            yes_or_no = "; of yes and no set corpus.stars_min: 0, stars_max: 1" * (text in _YES | _NO)
            raise RowError("stars_unreadable", f"found {show(value)}, expected a number{yes_or_no}")
        return found
    if isinstance(value, Decimal) and not isinstance(value, Unreadable):
        return None if value.is_nan() else _float(value)
    raise RowError("stars_unreadable", f"found {show(value)}, expected a number")


def _of_text(text: str, scale: StarScale) -> float | None:
    if _NUMBER.fullmatch(text):
        return float(text.replace(",", "."))
    if found := _OF.fullmatch(text):
        given, most = written_number(found[1]), float(found[2])
        return None if given is None or not most else given if most == scale.highest else given / most * scale.highest
    if found := _COUNT.fullmatch(text):
        return float(found[1].replace(",", "."))
    if found := _PERCENT.fullmatch(text):
        return float(found[1].replace(",", ".")) / 100 * scale.highest
    if _DRAWN.fullmatch(text):
        return sum(text.count(c) for c in "★⭐*") + 0.5 * text.count("½")
    if len(text) == 2 and text[0] in _HAN and text[1] == "星":
        return float(_HAN.index(text[0]))
    return _in_words(text, scale)


def _in_words(text: str, scale: StarScale) -> float | None:
    word = text.removesuffix(" stars").removesuffix(" star")
    if word in _WORDS:
        return float(_WORDS.index(word))
    if (scale.lowest, scale.highest) in ((0, 1), (-1, 1)) and text in _YES | _NO:
        return scale.highest if text in _YES else scale.lowest
    if text.endswith("½") and text[:-1].isdecimal():
        return int(text[:-1]) + 0.5
    try:
        return float(text) if "_" not in text else None  # 1e0
    except ValueError:
        return None
