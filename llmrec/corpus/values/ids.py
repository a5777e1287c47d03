"""Ids and labels: short texts that name something."""

import re
from collections.abc import Collection
from decimal import Decimal
from typing import Any

from llmrec.corpus.values.errors import RowError, missing, show

MAX_ID_CHARS = 512
_BAD_ID = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")

_FLAGS = dict.fromkeys(("true", "yes", "y", "1"), True) | dict.fromkeys(("false", "no", "n", "0"), False)


def parse_id(value: Any, name: str, nothing: Collection[str] = ()) -> str:
    """An id as text; whole numbers are written out. Raises RowError `missing_NAME` or `bad_NAME`.

    `nothing`: words in lower case that stand for a missing id.
    """
    text = value.strip() if type(value) is str else _written(value, name)
    if not text or (len(text) <= 5 and text.lower() in nothing):
        raise RowError(f"missing_{name}", f"found {show(value)}, expected an id")
    if len(text) > MAX_ID_CHARS or (not (text.isascii() and text.isprintable()) and _BAD_ID.search(text)):
        raise RowError(
            f"bad_{name}", f"found {show(text)}, expected at most {MAX_ID_CHARS} characters, none of them control codes"
        )
    return text


def _written(value: Any, name: str) -> str:
    if missing(value):
        return ""
    value = _whole(value)
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        raise RowError(f"bad_{name}", f"found {show(value)}, expected text or a whole number")
    return str(value).strip()


def _whole(value: Any) -> Any:
    """A whole number of any type as an int; the rest as it is."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if (
        isinstance(value, Decimal)
        and value.is_finite()
        and value == value.to_integral_value()
        and value.adjusted() < 40
    ):
        return int(value)
    return value


def parse_label(value: Any) -> str | None:
    """A short text, a whole number or a truth value, as text; None where it is none."""
    value = _whole(value)
    if missing(value) or not isinstance(value, (str, int)):
        return None
    text = str(value).strip()
    return None if len(text) > MAX_ID_CHARS or _BAD_ID.search(text) else text


def parse_flag(value: Any) -> bool | None:
    """Yes or no, as a truth value, 1 and 0, or a word for it; None where it is neither."""
    label = parse_label(value)
    return None if label is None else _FLAGS.get(label.casefold())
