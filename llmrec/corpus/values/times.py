"""Times of events and dates of items: numbers by magnitude, ISO 8601, months in words, and a format that is set."""

import datetime as dt
import re
from typing import Any

from llmrec.corpus.values.errors import RowError, Unreadable, missing, show
from llmrec.corpus.values.numbers import number_of
from llmrec.corpus.values.written_dates import COMPACT, in_words, numeric, zone_of

EARLIEST_S = 631_152_000  # 1990-01-01: no review on the web is older
LATEST_S = 4_102_444_800  # 2100-01-01
#: Ticks a second: the ranges of plausible times do not overlap, so the magnitude tells the unit.
_UNITS = (1, 1_000, 1_000_000, 1_000_000_000)
#: Ten digits that are a year, month, day and hour; as seconds they would lie in 2033 and 2034.
_HOUR = re.compile(r"(?:199\d|20[0-2]\d|203[0-2])(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])(?:[01]\d|2[0-3])")
_DOT_NET = re.compile(r"/Date\((\d{9,14})(?:[+-]\d{4})?\)/")
_EXCEL_DAYS = range(32_874, 73_051)  # 1990 to 2100, counted from 1899-12-30
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MS = dt.timedelta(milliseconds=1)
_SET = "set review_format.dates"


def parse_timestamp(value: Any, dates: str | None = None) -> int:
    """int64 ms UTC of an event. `dates`: a strptime format, "day_first" or "month_first", for texts of that kind.

    Read without it: seconds, milli-, micro- or nanoseconds by magnitude, YYYYMMDD, ISO 8601, and dates whose month is
    a word. A time without a zone is UTC. Raises RowError for words and for times outside 1990 to 2100.
    """
    if missing(value):
        raise RowError("missing_timestamp", f"found {show(value)}, expected a time")
    if dates and "%" in dates:
        number, value = None, str(value) if type(value) is int else value
    else:
        number = number_of(value)
    if dates == "excel" and number is not None and int(number) in _EXCEL_DAYS:
        return round((number - 25_569) * 86_400) * 1_000  # Excel's clock is no finer
    if number is not None and (ms := _epoch_ms(number)) is not None:
        return ms
    moment = None if number is not None and isinstance(value, float) else _moment(value, dates)
    if moment is None and number is not None:
        moment = _compact(number)
    if moment is None and number is None:
        raise _not_a_time(value)
    if moment is None or not EARLIEST_S <= moment / 1000 < LATEST_S:
        excel = number is not None and abs(number) < 1e6 and int(number) in _EXCEL_DAYS
        hint = f"; if these are the days that Excel counts, {_SET}: excel" if excel else ""
        raise RowError("timestamp_out_of_range", f"found {show(value)}, expected a time from 1990 to 2100{hint}")
    return moment


def _not_a_time(value: Any) -> RowError:
    if isinstance(value, Unreadable):
        return RowError("timestamp_out_of_range", f"found {value}, expected a time from 1990 to 2100")
    text = value.strip() if isinstance(value, str) else ""
    if numeric(text, None):
        return RowError(
            "timestamp_ambiguous",
            f'found {show(value)}: which is the day, which the month? {_SET}: "%d-%m-%Y", day_first, month_first or '
            "year_first",
        )
    return RowError(
        "timestamp_not_a_time",
        f"found {show(value)}, expected seconds, milliseconds or ISO 8601, or {_SET} to a format such as "
        '"%d.%m.%Y %H:%M"',
    )


def parse_date(value: Any, dates: str | None = None) -> int | None:
    """ms UTC of a date in item metadata, in any of the forms shops write (a year: its first day); None: none."""
    if missing(value) or isinstance(value, (bool, Unreadable)):
        return None
    number = number_of(value)
    if number is not None:
        try:
            ms = _epoch_ms(number)
        except RowError:
            return None
        return ms if ms is not None else _compact(number) if number > 9_999 else _year(number)
    return _moment(value, dates)


def _year(number: float | int) -> int | None:
    return _ms(dt.datetime(int(number), 1, 1)) if number == int(number) and 1_000 <= number <= 2_100 else None


def _epoch_ms(number: float | int) -> int | None:
    for per_second in _UNITS:
        if EARLIEST_S * per_second <= number < LATEST_S * per_second:
            if per_second == 1 and number > 1_989_999_999 and _HOUR.fullmatch(f"{number:.0f}"):
                raise RowError(
                    "timestamp_ambiguous",
                    f'found {number:.0f}: seconds of 2033, or year, month, day and hour? {_SET}: "%Y%m%d%H"',
                )
            return int(number * 1000 // per_second)
    return None


def _compact(number: float | int) -> int | None:
    """YYYYMMDD with or without hours, minutes and seconds, which no count of ticks since 1970 is."""
    text = f"{number:.0f}" if abs(number) < 1e15 and number == int(number) else ""
    return _by_format(text, COMPACT[len(text)]) if len(text) in COMPACT else None


def _moment(value: Any, dates: str | None) -> int | None:
    """ms of a date, a datetime or a text, else None."""
    if isinstance(value, str):
        return _of_text(value.strip(), dates)
    if isinstance(value, dt.datetime):
        return _ms(value)
    if isinstance(value, dt.date):
        return (value - dt.date(1970, 1, 1)).days * 86_400_000
    return None


def _of_text(text: str, dates: str | None) -> int | None:
    found = _without_zone(text, dates)
    if found is None and (ticks := _DOT_NET.fullmatch(text)):
        return int(ticks[1])
    if found is None and " " in text:
        written, _, name = text.rpartition(" ")
        zone = zone_of(name)
        found = _without_zone(written, dates, zone) if zone else None
    return found


def _without_zone(text: str, dates: str | None, zone: dt.tzinfo = dt.UTC) -> int | None:
    """ms of a text that names no zone, or one in its own way; `zone` is that of one without."""
    if dates and "%" in dates and (found := _by_format(text, dates)) is not None:
        return found
    try:
        return _ms(dt.datetime.fromisoformat(text), zone)
    except ValueError:
        pass
    wanted = in_words(text) or (numeric(text, dates) if dates else None) or numeric(text, _FOUR_DIGITS)
    return None if wanted is None or isinstance(wanted, bool) else _ms(wanted, zone)


#: No order, for dates that need none.
_FOUR_DIGITS = "four_digits"


def _by_format(text: str, form: str) -> int | None:
    try:
        return _ms(dt.datetime.strptime(text, form))
    except ValueError:
        return None


def _ms(moment: dt.datetime, zone: dt.tzinfo = dt.UTC) -> int | None:
    aware = moment if moment.tzinfo else moment.replace(tzinfo=zone)
    try:
        return (aware - _EPOCH) // _MS
    except OverflowError:
        return None
