"""Ids, stars, times and prices: what is read, and with what reason the rest is refused."""

import datetime as dt
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmrec.config import CorpusConfig
from llmrec.corpus.values.errors import RowError
from llmrec.corpus.values.ids import parse_flag, parse_id
from llmrec.corpus.values.lists import labels
from llmrec.corpus.values.numbers import parse_price
from llmrec.corpus.values.stars import StarScale, parse_stars
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
    "written",
    [
        "13. Mai 2014", "13 mai 2014", "13 de mayo de 2014", "13 de maio de 2014", "13 maggio 2014", "13 mei 2014",
        "13 maja 2014", "13 мая 2014 г.", "13 Mayıs 2014", "13 tháng 5, 2014", "2014年5月13日", "2014년 5월 13일",
        "2014. 5. 13.", "2014-05-13 UTC", "/Date(1399939200000)/",
    ],
)  # fmt: skip
def test_dates_of_many_languages_are_one_day(written: str) -> None:
    assert parse_timestamp(written) == dt.datetime(2014, 5, 13, tzinfo=dt.UTC).timestamp() * 1000


@pytest.mark.parametrize(
    ("written", "hour"),
    [
        ("2014-05-13 16:53:20 UTC", 16), ("2014-05-13 16:53:20 Europe/Berlin", 14), ("2014-05-13 16:53:20 EST", 21),
        ("2014年5月13日 16时53分20秒", 16), ("2014年5月13日 16:53:20", 16), ("13. Mai 2014 um 16:53:20 Uhr", 16),
        ("13 мая 2014 в 16:53:20", 16),
    ],
)  # fmt: skip
def test_times_say_their_zone_in_words(written: str, hour: int) -> None:
    assert parse_timestamp(written) == dt.datetime(2014, 5, 13, hour, 53, 20, tzinfo=dt.UTC).timestamp() * 1000


@pytest.mark.parametrize("value", [41_772.7037037, "41772.7037037", 41_772])
def test_days_of_excel_are_read_where_they_are_meant(value: float | str) -> None:
    expected = dt.datetime(2014, 5, 13, 16, 53, 20) if value != 41_772 else dt.datetime(2014, 5, 13)
    assert parse_timestamp(value, "excel") == expected.replace(tzinfo=dt.UTC).timestamp() * 1000
    assert parse_timestamp("1399939200", "excel") == 1_399_939_200_000
    with pytest.raises(RowError, match=r"review_format\.dates: excel"):
        parse_timestamp(value)


@pytest.mark.parametrize(
    ("written", "stars"),
    [
        ("★★★½", 3.5),
        ("3½", 3.5),
        ("½", 0.5),
        ("4星", 4),
        ("四星", 4),
        ("4つ星", 4),
        ("4점", 4),
        ("Rated 4 out of 5", 4),
    ],
)
def test_stars_as_sites_of_many_countries_write_them(written: str, stars: float) -> None:
    assert parse_stars(written, StarScale(0.5, 5)) == stars


@pytest.mark.parametrize(
    ("value", "flag"),
    [(True, True), (0, False), (1.0, True), ("No", False), ("true", True), ("in stock", None), (None, None), (2, None)],
)
def test_a_flag_is_yes_or_no_or_nothing(value: object, flag: bool | None) -> None:
    assert parse_flag(value) is flag


@pytest.mark.parametrize("value", ["1_400_000_000", "4_0"])
def test_what_is_a_number_to_python_alone_is_none(value: str) -> None:
    with pytest.raises(RowError):
        parse_timestamp(value)
    with pytest.raises(RowError, match="stars_unreadable"):
        parse_stars(value, StarScale(1, 50))


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
        ("lots", "stars_unreadable"), (True, "stars_unreadable"), ([5], "stars_unreadable"),
        (0, "stars_out_of_range"), (5.5, "stars_out_of_range"), (float("inf"), "stars_out_of_range"),
        (10**400, "stars_out_of_range"),
    ],
)  # fmt: skip
def test_stars_that_are_none_are_refused(value: Any, reason: str) -> None:
    with pytest.raises(RowError) as caught:
        parse_stars(value, StarScale(1, 5))
    assert caught.value.reason == reason


@pytest.mark.parametrize(
    ("value", "stars"),
    [
        (None, None), ("", None), (float("nan"), None), ("4.0", 4.0), (5, 5.0), ("4,5", 4.5), ("4.0 out of 5 stars", 4.0),  # noqa: E501
        ("5/5", 5.0), ("4.0 / 5", 4.0), ("8/10", 4.0), ("★★★★", 4.0), ("★★★☆☆", 3.0), ("80%", 4.0), ("five stars", 5.0),
        ("NA", None), (Decimal("3.5"), 3.5),
    ],
)  # fmt: skip
def test_stars_in_the_forms_that_sites_write(value: Any, stars: float | None) -> None:
    assert parse_stars(value, StarScale(1, 5, frozenset(["na"]))) == stars


def test_thumbs_have_a_scale_of_their_own() -> None:
    thumbs = StarScale(0, 1)
    assert [parse_stars(v, thumbs) for v in (True, False, "up", "Not Recommended", "👍")] == [1, 0, 1, 0, 1]
    scale = {"stars_min": 1.0, "stars_max": 10.0}
    assert (CorpusConfig().liked_from, CorpusConfig().disliked_to) == (4.0, 2.0)
    assert (CorpusConfig(**scale).liked_from, CorpusConfig(**scale).disliked_to) == (8.0, 4.0)
    assert CorpusConfig(stars_min=-10, stars_max=10).liked_from == 5
    with pytest.raises(ValueError, match=r"disliked_to 4\.5 must be below liked_from 4"):
        CorpusConfig(disliked_to=4.5)


@pytest.mark.parametrize(
    ("text", "price"),
    [
        ("12,99 €", 12.99), ("1.299,00 €", 1299.0), ("1 299,00 €", 1299.0), ("EUR 12,99", 12.99), ("3,5", 3.5),
        ("₹1,299", 1299.0), ("₹1,29,999.00", 129999.0), ("US$5.00", 5.0), ("CHF 1'299.50", 1299.5), ("12,-", 12.0),
        ("1.299 €", 1299.0), ("R$ 1.234,56", 1234.56), ("¥1,980", 1980.0), ("2 for 5.00", None), ("Free", None),
        ("1,2,3", None), ("12,99 - 15,99 €", 12.99), (10**400, None), (Decimal("7.50"), 7.5), ("1.299", 1.299),
    ],
)  # fmt: skip
def test_a_price_is_read_right_or_not_at_all(text: Any, price: float | None) -> None:
    assert parse_price(text) == price


@pytest.mark.parametrize(
    ("text", "dates", "day"),
    [
        ("Thu Mar 10 14:48:43 -0800 2016", None, "2016-03-10T22:48:43+00:00"),
        ("May 03, 2014", None, "2014-05-03T00:00:00+00:00"),
        (20140503, None, "2014-05-03T00:00:00+00:00"),
        (20140503093015, None, "2014-05-03T09:30:15+00:00"),
        ("29/04/2023", "day_first", "2023-04-29T00:00:00+00:00"),
        ("11/10/2019 9:05:58 PM", "month_first", "2019-11-10T21:05:58+00:00"),
        ("2014050309", "%Y%m%d%H", "2014-05-03T09:00:00+00:00"),
        (2014050309, "%Y%m%d%H", "2014-05-03T09:00:00+00:00"),
        ("2014/05/03", None, "2014-05-03T00:00:00+00:00"),
        ("2014年5月3日", None, "2014-05-03T00:00:00+00:00"),
        (Decimal(1_500_000_000), None, "2017-07-14T02:40:00+00:00"),
    ],
)
def test_times_in_the_forms_that_people_write(text: Any, dates: str | None, day: str) -> None:
    assert dt.datetime.fromtimestamp(parse_timestamp(text, dates) / 1000, dt.UTC).isoformat() == day


@pytest.mark.parametrize("value", ["03-05-2014 09:30", 2014050309, "2014050309", "3.5.14"])
def test_a_time_of_two_readings_is_refused_and_the_setting_named(value: Any) -> None:
    with pytest.raises(RowError, match=r"review_format\.dates") as caught:
        parse_timestamp(value)
    assert caught.value.reason == "timestamp_ambiguous"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("Burgers, Restaurants, Bars", ["Burgers", "Restaurants", "Bars"]), ("['Action', 'Indie']", ["Action", "Indie"]),  # noqa: E501
        ([{"id": 16, "name": "Animation"}], ["Animation"]), ({"fantasy": 10}, None), ("A|B", ["A", "B"]),
        ([["Music", "Home, Garden"]], ["Music", "Home, Garden"]), ("剧情,喜剧,爱情", ["剧情", "喜剧", "爱情"]),
        ("A thing that somebody made for others, has commas", ["A thing that somebody made for others, has commas"]), (None, []),  # noqa: E501
    ],
)  # fmt: skip
def test_lists_of_labels_in_their_forms(value: Any, expected: list[str] | None) -> None:
    assert labels(value) == expected


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
