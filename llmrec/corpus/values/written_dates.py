"""Dates as people write them: with the month in words, or in numbers whose order has to be known."""

import datetime as dt
import re
import zoneinfo
from collections.abc import Iterable

from dateutil import parser, tz

#: Digits -> the format of a date written without marks.
COMPACT = {8: "%Y%m%d", 12: "%Y%m%d%H%M", 14: "%Y%m%d%H%M%S"}
_MONTH = re.compile(r"(?<![A-Za-z])(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*", re.IGNORECASE)
_YEAR, _DAY = re.compile(r"(?<!\d)\d{4}(?!\d)"), re.compile(r"(?<![\d:])\d{1,2}(?![\d:])")
_NUMERIC = re.compile(
    r"(\d{1,4})([-/.])(\d{1,2})\2(\d{1,4})\.?(?:,?[ T]+(\d{1,2}:\d{2}(?::\d{2}(?:\.\d+)?)?)\s*([AaPp]\.?[Mm]\.?)?)?"
)
_EAST_ASIAN = re.compile(
    r"(\d{4})\s*[年년.]\s*(\d{1,2})\s*[月월.]\s*(\d{1,2})\s*[日일号號.]?"
    r"(?:\s*(\d{1,2})\s*[:时時点點시]\s*(\d{1,2})\s*(?:[分분]|(?=:)|$)(?:\s*:?\s*(\d{1,2})\s*[秒초]?)?)?"
)
_SLAVIC_AND_LATIN = re.compile(
    r"(\d{1,2})\s?(?:[.º°]|er)?\s+(?:de\s+)?([^\W\d_]+|tháng \d{1,2})[.,]?\s+(?:de[l]?\s+|năm\s+)?(\d{4})\s?(?:г\.?)?"
    r"(?:,?\s+(?:um\s+|à\s+|alle\s+|a las\s+|às\s+|o\s+|в\s+)?(\d{1,2}:\d{2}(?::\d{2})?)(?:\s*(?:Uhr|h))?)?"
)
#: Names of the twelve months, in order, those of one language after another: German, French, Spanish, Portuguese,
#: Italian, Dutch, Polish, Russian, Turkish, Vietnamese.
_MONTHS = (
    "januar jan janvier janv enero ene janeiro gennaio gen januari stycznia января ocak|"
    "februar feb février févr fevrier febrero fevereiro fev febbraio februari lutego февраля şubat|"
    "märz mär mrz maerz mars marzo mar março marco maart mrt marca марта mart|"
    "april apr avril avr abril abr aprile kwietnia апреля nisan|"
    "mai mayo may maio maggio mag mei maja мая mayıs|"
    "juni jun juin junio junho giugno giu czerwca июня haziran|"
    "juli jul juillet juil julio julho luglio lug lipca июля temmuz|"
    "august aug août aout agosto ago augustus sierpnia августа ağustos|"
    "september sep sept septembre septiembre setiembre setembro set settembre września сентября eylül|"
    "oktober okt octobre oct octubre outubro out ottobre ott października октября ekim|"
    "november nov novembre noviembre novembro listopada ноября kasım|"
    "dezember dez décembre déc decembre diciembre dic dezembro dicembre december dec grudnia декабря aralık"
)
MONTHS = {name: n for n, names in enumerate(_MONTHS.split("|"), 1) for name in names.split()}
MONTHS |= {f"tháng {n}": n for n in range(1, 13)}
_ZONES = {"UTC": 0, "GMT": 0, "Z": 0, "EST": -5, "EDT": -4, "CST": -6, "CDT": -5, "MST": -7, "MDT": -6, "PST": -8,
          "PDT": -7, "CET": 1, "CEST": 2, "JST": 9}  # fmt: skip


def in_words(text: str) -> dt.datetime | None:
    """May 03, 2014; Thu Mar 10 14:48:43 -0800 2016; 3 de mayo de 2014; 2014年5月3日; None: none of these."""
    if found := _EAST_ASIAN.fullmatch(text):
        clock = ":".join(part.zfill(2) for part in found.groups()[3:] if part)
        return _built(int(found[1]), int(found[2]), int(found[3]), clock or None, None)
    if (found := _SLAVIC_AND_LATIN.fullmatch(text)) and (month := MONTHS.get(found[2].lower())):
        return _built(int(found[3]), month, int(found[1]), found[4], None)
    text = text.removeprefix("Posted ").rstrip(".")
    if not (6 < len(text) < 60 and _YEAR.search(text) and _DAY.search(text) and len(_MONTH.findall(text)) == 1):
        return None
    try:
        return parser.parse(text, tzinfos=_zone, default=dt.datetime(2000, 1, 1))
    except Exception:  # dateutil raises what its parts raise
        return None


def _zone(name: str | None, offset: int | None) -> dt.tzinfo | None:
    if name is None and offset is None:
        return None
    if offset is not None:
        return tz.tzoffset(None, offset)
    if name not in _ZONES:
        raise ValueError(f"the time zone {name} is not known")
    return tz.tzoffset(name, 3_600 * _ZONES[name])


def zone_of(name: str) -> dt.tzinfo | None:
    """A zone by its short name or its place, "UTC", "Europe/Berlin"; None: none known here."""
    if name in _ZONES:
        return tz.tzoffset(name, 3_600 * _ZONES[name])
    try:
        return zoneinfo.ZoneInfo(name) if "/" in name else None
    except (ValueError, OSError, zoneinfo.ZoneInfoNotFoundError):
        return None


def numeric(text: str, order: str | None) -> dt.datetime | bool | None:
    """A date in numbers, read as "day_first", "month_first" or "year_first"; None: none of the kind.

    A year of four digits that stands first is known by any order. Without one: True where the text is a date whose day
    and month cannot be told apart by its form.
    """
    found = _NUMERIC.fullmatch(text)
    if not found:
        return None
    a, b, c = int(found[1]), int(found[3]), int(found[4])
    if len(found[1]) == 4:
        return _built(a, b, c, found[5], found[6]) if order else None
    if order is None:
        return True
    if order == "year_first" and len(found[1]) == len(found[4]) == 2:
        return _built(_whole(a), b, c, found[5], found[6])
    if order not in ("day_first", "month_first") or len(found[4]) not in (2, 4):
        return None
    year = c if len(found[4]) == 4 else _whole(c)
    day, month = (a, b) if order == "day_first" else (b, a)
    return _built(year, month, day, found[5], found[6])


def _whole(year: int) -> int:
    """A year of which the last two digits were written."""
    return 2000 + year if year < 70 else 1900 + year


def _built(year: int, month: int, day: int, time: str | None, half: str | None) -> dt.datetime | None:
    try:
        moment = dt.datetime(year, month, day)
        clock = dt.time.fromisoformat(time.zfill(len(time) + (time.index(":") == 1))) if time else dt.time()
        hour = clock.hour % 12 + 12 * (half[0] in "Pp") if half else clock.hour
        return moment.replace(hour=hour, minute=clock.minute, second=clock.second, microsecond=clock.microsecond)
    except ValueError:
        return None


def order_of(texts: Iterable[str]) -> str | None:
    """day_first, month_first or year_first, as the values of one column show by a number above 12, or by dots.

    None: unknown. Of two numbers of two digits that may both be days or years, years are the one with half as many
    values or fewer.
    """
    found = [match for match in map(_NUMERIC.fullmatch, texts) if match and len(match[1]) < 3]
    first, second, third = (max((int(m[n]) for m in found), default=0) for n in (1, 3, 4))
    dots = bool(found) and all(m[2] == "." for m in found)
    if first > 12 >= second and third <= 31 and not dots:
        return _by_spread(found) if first <= 31 else "year_first"
    if first > 12 >= second:
        return "day_first"
    if second > 12 >= first:
        return "month_first"
    return "day_first" if dots and max(first, second) <= 12 else None


def _by_spread(found: list[re.Match[str]]) -> str | None:
    first, third = (len({int(m[n]) for m in found}) for n in (1, 4))
    return "day_first" if first >= 2 * third else "year_first" if third >= 2 * first else None
