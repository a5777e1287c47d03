"""Files as people have them, rebuilt from public bug reports: each is read right, or refused in words that help."""

import datetime as dt
from pathlib import Path
from typing import Any

import pytest

from llmrec import corpus
from llmrec.config import RunConfig, load_config
from llmrec.storage import Artifact, Storage

CASES = Path(__file__).parents[2] / "fixtures" / "cases"

#: Case -> what the manifest must say: counts, `info`, or columns of the tables by their names.
READ: dict[str, dict[str, Any]] = {
    "amazon_ratings_no_header_mapped": {"rows_in": 9, "rows_out": 9},
    "brackets_in_name": {"rows_out": 1},
    "categories_forms": {
        "repairs": {"categories_unreadable": 1},
        "categories": [["Burgers", "Restaurants", "Bars"], ["Action", "Indie"], None, ["Animation"], ["A", "B"],
                       ["Music", "Guitars"]],
    },
    "csv_backslash_quotes": {"rows_out": 9, "text": ["plain", 'she said "wow", twice', "plain"] * 3},
    "csv_cr_only": {"rows_out": 6, "stars": {"4": 6}},
    "csv_long_text": {"rows_out": 5, "repairs": {"text_cut": 1}},
    "dates_compact_day_int": {"rows_out": 6, "first_time": "2014-05-03T00:00:00+00:00"},
    "dates_long": {"rows_out": 6, "first_time": "2014-05-03T00:00:00+00:00"},
    "european_csv": {"rows_out": 8, "first_time": "2021-05-10T00:00:00+00:00", "text": ["Schön groß"] * 8},
    "folder_of_movielens": {"rows_out": 1},
    "future_times": {"rows_out": 9, "future": 1},
    "glob_takes_tags_too": {"rows_out": 8, "quarantined": 0},
    "goodreads_dates": {"rows_out": 8, "first_time": "2016-03-10T22:48:43+00:00"},
    "gz_named_json": {"rows_out": 5},
    "gz_not_gz": {"rows_out": 5},
    "header_colons": {"rows_out": 6},
    "ids_float_text": {"rows_out": 9, "items_with_metadata": 0},
    "ids_leading_zeros": {"rows_out": 9, "items_with_metadata": 0},
    "ids_nan_text": {"rows_out": 20, "reasons": {"missing_user_id": 20}},
    "json_array_one_line": {"rows_out": 6},
    "json_array_pretty": {"rows_out": 6},
    "latin1_csv": {"rows_out": 8, "text": ["fine", "très bien naïve"] * 4},
    "ml10m_utf8_dat": {"title": ["Cité perdue, La (1995)", "Müllers Büro (1986)"]},
    "nested_two_levels": {"rows_out": 6},
    "one_percent_survives": {"rows_out": 1_000, "without_stars": 990},
    "p_ten_scale": {"scale": {"lowest": 1.0, "highest": 10.0, "liked_from": 8.0, "disliked_to": 4.0}},
    "parquet_binary_strings": {"rows_out": 6},
    "parquet_binary_text": {"rows_out": 6, "empty_texts": 0},
    "parquet_decimal": {"rows_out": 6, "stars": {"4": 6}},
    "parquet_year_49000": {"rows_out": 5, "reasons": {"timestamp_out_of_range": 1}},
    "price_huge": {"items_out": 2, "repairs": {"price_unreadable": 2}},
    "prices": {"price": [1299, 12.99, 1299, 12.99, 1299, 1299, 5, 9.99, 3.5, None, 5], "repairs": {"price_unreadable": 1}},  # noqa: E501
    "python_literals_mixed": {"rows_out": 7},
    "repeat_consumption": {"rows_out": 300, "repeats": 270},
    "reviews_as_string": {"rows_out": 1},
    "semicolons": {"rows_out": 12, "without_stars": 0},
    "stars_boolean": {"stars": {"0": 3, "1": 3}},
    "stars_decimal_comma": {"stars": {"3": 1, "4": 2, "4.5": 1, "5": 2}},
    "stars_in_words": {"stars": {"1": 2, "2": 1, "3": 1, "4": 1, "5": 1}},
    "stars_nan": {"rows_out": 12, "without_stars": 4},
    "steam_python2": {"rows_out": 8},
    "tsv_inch_mark": {"rows_in": 12, "rows_out": 12},
    "tsv_quoted_word_first": {"rows_out": 9, "text": ['"Superb" is the word', "plain", 'so "so"'] * 3},
    "tsv_quotes_swallow": {"rows_in": 12, "rows_out": 12},
    "utf16_excel": {"rows_out": 8, "text": ["fine", "tres bien naïve"] * 4},
    "zero_means_unrated": {"rows_out": 8, "without_stars": 2},
}  # fmt: skip

#: Case -> what the refusal says.
REFUSED = {
    "amazon_ratings_no_header": r"first line looks like data.*header: .*review_format.*reviewerID, asin, overall",
    "dates_dmy_dash": r"timestamp_ambiguous.*set review_format\.dates: \"%d-%m-%Y\"",
    "dates_hour_number": r"timestamp_ambiguous.*set review_format\.dates: \"%Y%m%d%H\"",
    "gz_html_page": r"not gz in spite of its name: begins with <!DOCTYPE html>, a web page was saved instead",
    "mind_behaviors": r"first line looks like data.*5 columns have no names.*header: ",
}

#: Case -> checks of the sanity report that must speak.
WARNED = {
    "amazon_ratings_no_header_mapped": "format", "future_times": "future", "glob_takes_tags_too": "format",
    "ids_float_text": "joined", "ids_leading_zeros": "joined", "ids_nan_text": "quarantined", "latin1_csv": "format",
    "one_percent_survives": "unrated", "p_nothing_joins": "joined", "repeat_consumption": "repeats",
}  # fmt: skip

#: Case -> the protocol that cannot be run, known before a word is encoded.
UNTESTABLE = {
    "p_same_time": "all 300 events share one moment: no split in time is possible",
    "p_one_event_each": "no user has two events.*take it out of evaluation.protocols",
    "p_cold_test": "all 30 events of split validation are on items first seen at that very moment.*available_from",
    "p_one_user": "all 20 events of split test are on items first seen at that very moment",
}


@pytest.fixture(autouse=True)
def _cases_are_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CASES", str(CASES))


def config_of(case: str, tmp_path: Path) -> RunConfig:
    return load_config(CASES / case / "config.yaml", [f"storage={tmp_path}"])


def made(case: str, tmp_path: Path) -> Artifact:
    return corpus.ingest(config_of(case, tmp_path), Storage(str(tmp_path)))


@pytest.mark.parametrize("case", READ)
def test_a_file_as_people_have_it_is_read(case: str, tmp_path: Path) -> None:
    artifact = made(case, tmp_path)
    said = {**artifact.manifest.info, **artifact.manifest.counts}
    for name, expected in READ[case].items():
        table = "items" if name in ("categories", "price", "title") else "reviews"
        found = said[name] if name in said else artifact.table(table)[name].to_pylist()
        close = pytest.approx(expected) if name == "price" else expected
        assert found == close, name


def test_no_row_is_inside_another(tmp_path: Path) -> None:
    rows = made("tsv_quotes_swallow", tmp_path).table("reviews").sort_by("user_id").to_pylist()
    assert {row["user_id"] for row in rows} == {f"C{n}" for n in range(12)}
    assert all("\n" not in row["text"] for row in rows)
    assert next(row for row in rows if row["user_id"] == "C3")["text"] == '"Loved it, would buy again'


@pytest.mark.parametrize("case", REFUSED)
def test_a_file_that_cannot_be_read_is_refused_in_words_that_help(case: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=REFUSED[case]):
        made(case, tmp_path)


@pytest.mark.parametrize("case", WARNED)
def test_what_is_odd_is_said_by_check(case: str, tmp_path: Path) -> None:
    assert WARNED[case] in {warning["check"] for warning in corpus.check(config_of(case, tmp_path))["warnings"]}


@pytest.mark.parametrize("case", UNTESTABLE)
def test_a_protocol_without_events_is_known_before_anything_is_paid_for(case: str, tmp_path: Path) -> None:
    config = config_of(case, tmp_path)
    with pytest.raises(ValueError, match=UNTESTABLE[case]):
        corpus.vouch(config, corpus.ingest(config, Storage(str(tmp_path))))


def test_every_case_is_tested() -> None:
    known = {*READ, *REFUSED, *WARNED, *UNTESTABLE}
    assert {path.parent.name for path in CASES.glob("*/config.yaml")} == known


def test_a_limit_makes_a_warning_an_error(tmp_path: Path) -> None:
    refused = load_config(CASES / "ids_nan_text" / "config.yaml", ["corpus.sanity.refuse_quarantined=0.2"])
    with pytest.raises(ValueError, match=r"20 of 40 rows \(50\.0%\) were refused, most often as missing_user_id"):
        corpus.check(refused)


def test_dates_that_one_row_tells_apart_are_read(tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    path.write_text("user_id,item_id,timestamp\nu,a,03/04/2023\nv,b,29/04/2023\n")
    config = RunConfig.model_validate({"corpus": {"source": "table", "reviews": str(path)}})
    artifact = corpus.ingest(config, Storage(str(tmp_path)))
    april = [dt.datetime(2023, 4, day, tzinfo=dt.UTC).timestamp() * 1000 for day in (3, 29)]
    assert artifact.table("reviews")["timestamp"].to_pylist() == april
    assert artifact.manifest.info["formats"][str(path)]["dates"] == "day_first"
