"""Ids, stars, times and prices: what is read, and with what reason the rest is refused."""

import datetime as dt
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmrec.corpus.values.errors import RowError
from llmrec.corpus.values.ids import parse_id
from llmrec.corpus.values.numbers import parse_price
from llmrec.corpus.values.stars import parse_stars
from llmrec.corpus.values.times import parse_date, parse_timestamp

EARLIEST, LATEST = dt.datetime(1990, 1, 1), dt.datetime(2099, 12, 31)


@given(st.datetimes(EARLIEST, LATEST), st.sampled_from([1, 1_000, 1_000_000, 1_000_000_000]))
def test_the_magnitude_of_a_time_tells_its_unit(moment: dt.datetime, per_second: int) -> None:
    seconds = int(moment.replace(tzinfo=dt.UTC).timestamp())
    for value in (seconds * per_second, str(seconds * per_second)):
        assert parse_timestamp(value) == seconds * 1000


@given(st.datetimes(EARLIEST, LATEST, timezones=st.sampled_from([None, dt.UTC, dt.timezone(dt.timedelta(hours=8))])))
def test_iso_strings_and_datetimes_agree(moment: dt.datetime) -> None:
    aware = moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)
    expected = (aware - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)) // dt.timedelta(milliseconds=1)
    if EARLIEST.replace(tzinfo=dt.UTC) <= aware:
        assert parse_timestamp(moment.isoformat()) == parse_timestamp(moment) == expected


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, "missing_timestamp"),
        ("", "missing_timestamp"),
        (float("nan"), "missing_timestamp"),
        ("last Tuesday", "timestamp_not_a_time"),
        ([], "timestamp_not_a_time"),
        (True, "timestamp_not_a_time"),
        (0, "timestamp_out_of_range"),
        (-1, "timestamp_out_of_range"),
        (float("inf"), "timestamp_out_of_range"),
        (10**30, "timestamp_out_of_range"),
        ("1066-10-14", "timestamp_out_of_range"),
    ],
)
def test_times_that_are_none_are_refused(value: Any, reason: str) -> None:
    with pytest.raises(RowError) as caught:
        parse_timestamp(value)
    assert caught.value.reason == reason


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("five", "stars_not_a_number"),
        ("4,5", "stars_not_a_number"),
        (True, "stars_not_a_number"),
        ([5], "stars_not_a_number"),
        (float("nan"), "stars_nan"),
        ("nan", "stars_nan"),
        (0, "stars_out_of_range"),
        (5.5, "stars_out_of_range"),
        (float("inf"), "stars_out_of_range"),
        (10**400, "stars_not_a_number"),
    ],
)
def test_stars_that_are_none_are_refused(value: Any, reason: str) -> None:
    with pytest.raises(RowError) as caught:
        parse_stars(value, 1, 5)
    assert caught.value.reason == reason


def test_stars_are_optional_and_may_be_written_as_text() -> None:
    assert [parse_stars(v, 1, 5) for v in (None, "", "4.0", 5)] == [None, None, 4.0, 5.0]


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, "missing_user_id"), ("  ", "missing_user_id"), (float("nan"), "missing_user_id"),
        (1.5, "bad_user_id"), (True, "bad_user_id"), (["A"], "bad_user_id"), ("a\x00b", "bad_user_id"),
        ("a\tb", "bad_user_id"), ("a\ud800", "bad_user_id"), ("x" * 513, "bad_user_id"),
    ],
)  # fmt: skip
def test_ids_that_are_none_are_refused(value: Any, reason: str) -> None:
    with pytest.raises(RowError) as caught:
        parse_id(value, "user_id")
    assert caught.value.reason == reason


def test_ids_may_be_numbers_and_any_script() -> None:
    assert [parse_id(v, "user_id") for v in (7, 7.0, " 007 ", "用户")] == ["7", "7", "007", "用户"]


def test_dates_and_prices_in_the_forms_shops_write() -> None:
    day = 14_614 * 86_400_000  # 2010-01-05
    assert [parse_date(v) for v in ("January 5, 2010", "Jan 5, 2010", "05-Jan-2010", "2010-01-05")] == [day] * 4
    assert parse_date("01-Jan-1922") == -48 * 365 * 86_400_000 - 12 * 86_400_000
    assert [parse_date(v) for v in (None, "soon", "Foo 5, 2010", "February 30, 2010", "")] == [None] * 5
    prices = ["$1,299.00", "12.5", 3, "$5.00 - $9.99", "from 7.99", "free", None, -1, True, float("nan")]
    assert [parse_price(p) for p in prices] == [1299.0, 12.5, 3.0, 5.0, 7.99, None, None, None, None, None]
