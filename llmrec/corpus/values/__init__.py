"""Single values of a row: ids, stars, times, prices. Each is read or refused with a reason."""

import datetime as dt
import math
import re
from typing import Any

EARLIEST_S = 631_152_000  # 1990-01-01: no review on the web is older
LATEST_S = 4_102_444_800  # 2100-01-01
MAX_ID_CHARS = 512
#: Ticks a second: the ranges of plausible times do not overlap, so the magnitude tells the unit.
_UNITS = (1, 1_000, 1_000_000, 1_000_000_000)
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_LONG_DATE = re.compile(r"([A-Za-z]{3})[a-z]*\.? (\d{1,2}), (\d{4})")  # January 5, 2010
_SHORT_DATE = re.compile(r"(\d{1,2})-([A-Za-z]{3})-(\d{4})")  # 01-Jan-1995
_BETWEEN_NUMBERS = re.compile(r"\s*[,;\s]\s*")
_PRICE = re.compile(r"(?:from\s*)?[$€£¥]?\s*(\d[\d,]*(?:\.\d+)?)", re.IGNORECASE)
_BAD_ID = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_FLOAT32_MAX = 3.4028234e38
_UTC = dt.UTC


class RowError(ValueError):
    """A row that cannot be used: `reason` is a short code, `detail` what was found and what was expected."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason, self.detail = reason, detail


def show(value: Any) -> str:
    """`value` for a message, at most 80 characters."""
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


def missing(value: Any) -> bool:
    """Nothing there: None, a NaN, or blank text."""
    return value is None or value != value or (isinstance(value, str) and not value.strip())


def parse_id(value: Any, name: str) -> str:
    """An id as text; whole numbers are written out. Raises RowError `missing_NAME` or `bad_NAME`."""
    if missing(value):
        raise RowError(f"missing_{name}", f"found {show(value)}, expected an id")
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        raise RowError(f"bad_{name}", f"found {show(value)}, expected text or a whole number")
    text = str(value).strip()
    if len(text) > MAX_ID_CHARS or _BAD_ID.search(text):
        raise RowError(
            f"bad_{name}", f"found {show(text)}, expected at most {MAX_ID_CHARS} characters, none of them control codes"
        )
    return text


def parse_stars(value: Any, lowest: float, highest: float) -> float | None:
    """Stars, or None where the row has none. A NaN is a value that went wrong: it is refused."""
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    try:
        if isinstance(value, bool):
            raise TypeError
        stars = float(value)
    except (TypeError, ValueError, OverflowError):
        raise RowError("stars_not_a_number", f"found {show(value)}, expected a number") from None
    if math.isnan(stars):
        raise RowError("stars_nan", "found NaN, expected a number")
    if not lowest <= stars <= highest:
        raise RowError("stars_out_of_range", f"found {stars:g}, expected {lowest:g} to {highest:g}")
    return stars


def parse_timestamp(value: Any) -> int:
    """int64 ms UTC of an event: seconds, milli-, micro- or nanoseconds by magnitude, or an ISO 8601 string.

    A time without a zone is UTC. Raises RowError for words and for times outside 1990 to 2100.
    """
    if missing(value):
        raise RowError("missing_timestamp", f"found {show(value)}, expected a time")
    number = _number(value)
    if number is not None and (ms := _epoch_ms(number)) is not None:
        return ms
    moment = _moment(value)
    if moment is None and number is None:
        raise RowError("timestamp_not_a_time", f"found {show(value)}, expected seconds, milliseconds or ISO 8601")
    if moment is None or not EARLIEST_S <= moment / 1000 < LATEST_S:
        raise RowError("timestamp_out_of_range", f"found {show(value)}, expected a time from 1990 to 2100")
    return moment


def parse_date(value: Any) -> int | None:
    """ms UTC of a date in item metadata, in any of the forms shops write; None where it is none."""
    if missing(value):
        return None
    number = _number(value)
    if number is not None and (ms := _epoch_ms(number)) is not None:
        return ms
    return _moment(value) if _moment(value) is not None else _written_date(str(value).strip())


def parse_price(value: Any) -> float | None:
    """A price such as 12.99, "$1,299.00" or "$5.00 - $9.99" (its lower end); None where it is none."""
    if isinstance(value, bool) or missing(value):
        return None
    if isinstance(value, (int, float)):
        return float(value) if 0 <= value < math.inf else None
    found = _PRICE.match(str(value).strip())
    return float(found[1].replace(",", "")) if found and len(found[1]) < 16 else None


def parse_label(value: Any) -> str | None:
    """A short text, a whole number or a truth value, as text; None where it is none."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if missing(value) or not isinstance(value, (str, int)):
        return None
    text = str(value).strip()
    return None if len(text) > MAX_ID_CHARS or _BAD_ID.search(text) else text


def parse_vector(value: Any) -> list[float] | None:
    """A list of finite numbers that float32 can hold, or its text, "[0.5, -1]" or "0.5 -1"; None where it is none."""
    if isinstance(value, str):
        value = [_number(part) for part in _BETWEEN_NUMBERS.split(value.strip(" []"))]
    if not isinstance(value, (list, tuple)) or not value or any(type(v) not in (int, float) for v in value):
        return None
    return [float(v) for v in value] if all(abs(v) <= _FLOAT32_MAX for v in value) else None


def _number(value: Any) -> float | int | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, (int, float)):
        return value
    if not isinstance(value, str) or len(value) > 40:
        return None
    try:
        return int(value)
    except ValueError:
        try:
            return float(value)
        except ValueError:
            return None


def _epoch_ms(number: float | int) -> int | None:
    for per_second in _UNITS:
        if EARLIEST_S * per_second <= number < LATEST_S * per_second:
            return int(number * 1000 // per_second)
    return None


def _moment(value: Any) -> int | None:
    """ms of a date, a datetime or an ISO 8601 string, else None."""
    if isinstance(value, str):
        try:
            value = dt.datetime.fromisoformat(value.strip())
        except ValueError:
            return None
    if isinstance(value, dt.datetime):
        aware = value if value.tzinfo else value.replace(tzinfo=_UTC)
        return (aware - dt.datetime(1970, 1, 1, tzinfo=_UTC)) // dt.timedelta(milliseconds=1)
    if isinstance(value, dt.date):
        return (value - dt.date(1970, 1, 1)).days * 86_400_000
    return None


def _written_date(text: str) -> int | None:
    if found := _LONG_DATE.fullmatch(text):
        month, day, year = found.groups()
    elif found := _SHORT_DATE.fullmatch(text):
        day, month, year = found.groups()
    else:
        return None
    try:
        return _moment(dt.date(int(year), _MONTHS.index(month.lower()) + 1, int(day)))
    except ValueError:
        return None
