"""Numbers as people and shops write them: decimal marks, groups, currencies; and lists of numbers."""

import math
import re
import unicodedata
from decimal import Decimal
from typing import Any

from llmrec.corpus.values.errors import Unreadable, missing

FLOAT32_MAX = 3.4028234e38
_PLAIN = re.compile(r"[-+]?\d+(?:\.\d+)?(?:[eE][-+]?\d{1,3})?")
_MONEY = re.compile(
    r"(?:from|ab|desde|à partir de|starting at|only)?\s*[:.]?\s*"
    r"(?P<before>[A-Z]{1,3}\$|[A-Z]{3}|[^\w\s.,\-+]{1,2}|Rs\.?|kr\.?|R\$|Fr\.?)?\s*"
    r"(?P<number>\d(?:[\d.,'’  ]*\d)?)"
    r"\s*(?:[,.]\s?[-–—]+)?\s*(?P<after>[A-Z]{3}|[^\w\s.,\-+]{1,2}|kr\.?|zł|Kč|Kc|руб\.?|Ft|lei|元|円|원|euros?|dollars?)?\s*"
    r"(?:[-–—~]\s*\S.*|to\s.*|bis\s.*)?",
    re.IGNORECASE,
)
_BETWEEN_NUMBERS = re.compile(r"\s*[,;\s]\s*")
_SPACES = str.maketrans("", "", "'’    ")


def written_number(text: str, decimal: str | None = None) -> float | None:
    """The number that digits with marks between them stand for; None where two readings are equally likely.

    Of two marks the last is the decimal one. A mark that comes again, or groups before a decimal mark, set thousands
    apart. One comma before three digits sets thousands apart, unless `decimal` is ",", and any other is decimal.
    """
    text = text.translate(_SPACES)
    marks = [c for c in text if c in ".,"]
    if not marks:
        return _finite(text)
    last = marks[-1]
    if len(set(marks)) == 1:
        head, _, tail = text.rpartition(last)
        thousands = len(marks) > 1 or (len(tail) == 3 and head != "0" and last != (decimal or "."))
        text = text.replace(last, "") if thousands else f"{head}.{tail}"
        return _finite(text) if not thousands or _grouped(head, tail, last) else None
    if marks.count(last) > 1:
        return None
    head, _, tail = text.rpartition(last)
    return _finite(f"{head.replace('.', '').replace(',', '')}.{tail}")


def _grouped(head: str, tail: str, mark: str) -> bool:
    """Groups of three, or of two before the last as in India."""
    return len(tail) == 3 and all(len(group) in (2, 3) for group in head.split(mark)[1:])


def _finite(text: str) -> float | None:
    try:
        found = float(text) if "_" not in text else math.nan
    except ValueError:
        return None
    return found if math.isfinite(found) else None


def parse_price(value: Any, decimal: str | None = None) -> float | None:
    """A price such as 12.99, "$1,299.00", "1.299,00 €" or "$5.00 - $9.99" (its lower end); None where it is none."""
    if isinstance(value, (bool, Unreadable)) or missing(value):
        return None
    if isinstance(value, (int, float, Decimal)):
        return float(value) if 0 <= value <= FLOAT32_MAX else None
    text = unicodedata.normalize("NFKC", str(value)[:80]).strip()
    if _PLAIN.fullmatch(text) and decimal != ",":
        found = _finite(text)
    else:
        money = _MONEY.fullmatch(text)
        found = _amount(money, decimal) if money else None
    return found if found is not None and 0 <= found <= FLOAT32_MAX else None


def _amount(money: re.Match[str], decimal: str | None) -> float | None:
    number, coin = money["number"], money["before"] or money["after"]
    if coin and re.fullmatch(r"[1-9]\d{0,2}\.\d{3}", number):
        return float(number.replace(".", ""))  # no coin has three decimals
    return written_number(number, decimal)


def parse_vector(value: Any) -> list[float] | None:
    """A list of finite numbers that float32 can hold, or its text, "[0.5, -1]" or "0.5 -1"; None where it is none."""
    if isinstance(value, str):
        value = [number_of(part) for part in _BETWEEN_NUMBERS.split(value.strip(" []"))]
    if not isinstance(value, (list, tuple)) or not value or any(type(v) not in (int, float, Decimal) for v in value):
        return None
    return [float(v) for v in value] if all(abs(v) <= FLOAT32_MAX for v in value) else None


def number_of(value: Any) -> float | int | None:
    """A number, or a text that is nothing but one; None for the rest."""
    kind = type(value)
    if kind is int or kind is float:
        return value  # type: ignore[no-any-return]
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if not isinstance(value, str) or len(value) > 40 or "_" in value:  # 1_000 is a number to Python alone
        return None
    try:
        return int(value)
    except ValueError:
        try:
            return float(value)
        except ValueError:
            return None
