"""A first configuration from files alone: what each holds, which column is what, and what is not sure."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from jobs.ingest import guessed
from llmrec import corpus
from llmrec.config import RunConfig
from llmrec.storage import Storage

SECONDS = 1_400_000_000
REVIEWS = [
    {"customer": f"u{n % 3}", "product_id": f"i{n}", "bought_at": SECONDS + n, "rating": 4, "comment": "so so"}
    for n in range(9)
]
ITEMS = [
    {"id": f"i{n}", "name": f"Lamp {n}", "price": "9.90", "genre": "a|b", "release_date": "2014"} for n in range(9)
]
EVENTS = [
    {
        "visitorid": f"u{n % 3}",
        "event": ("view", "addtocart", "purchase")[n % 3],
        "itemid": n % 4,
        "timestamp": SECONDS + n,
    }
    for n in range(9)
]
USERS = [{"user_id": f"u{n}", "age": ("18-25", "26-40")[n % 2], "mail": f"{n}@x"} for n in range(9)]
FOLLOWS = [{"follower": f"u{n}", "followee": f"u{n + 1}", "since": "2014-05-01"} for n in range(9)]


def written(tmp_path: Path, **files: list[dict[str, Any]]) -> list[str]:
    for name, rows in files.items():
        (tmp_path / f"{name}.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return [str(tmp_path / f"{name}.jsonl") for name in files]


@pytest.mark.parametrize(
    ("rows", "kind", "columns"),
    [
        (REVIEWS, "reviews", {"user_id": "customer", "item_id": "product_id", "timestamp": "bought_at",
                              "stars": "rating", "text": "comment"}),
        (ITEMS, "items", {"item_id": "id", "title": "name", "price": "price", "categories": "genre",
                          "available_from": "release_date"}),
        (EVENTS, "events", {"user_id": "visitorid", "item_id": "itemid", "kind": "event", "timestamp": "timestamp"}),
        (USERS, "users", {"user_id": "user_id"}),
        (FOLLOWS, "relations", {"follower_id": "follower", "followed_id": "followee", "since": "since"}),
    ],
)  # fmt: skip
def test_the_columns_tell_what_a_file_holds(
    rows: list[dict[str, Any]], kind: str, columns: dict[str, str], tmp_path: Path
) -> None:
    (path,) = written(tmp_path, file=rows)
    text, complete = corpus.guess(path)
    section = yaml.safe_load(text)["corpus"]
    name = {"reviews": "columns", "items": "item_columns"}.get(kind, f"{kind.removesuffix('s')}_columns")
    assert complete and section[kind] == [path] and section[name] == columns
    assert ("no file of reviews or events" in text) == (kind not in ("reviews", "events"))


@pytest.mark.parametrize("first", ["reviews", "events"])
def test_several_files_are_one_configuration_that_runs(first: str, tmp_path: Path) -> None:
    rows = {"reviews": REVIEWS, "events": EVENTS}[first]
    text, complete = corpus.guess(*written(tmp_path, first=rows, items=ITEMS, users=USERS, follows=FOLLOWS))
    config = RunConfig.model_validate(yaml.safe_load(text))
    assert complete and config.corpus.user_attributes == {"age": "age"}
    assert config.corpus.outcome.kind == {"reviews": "review", "events": "purchase"}[first]
    counts = corpus.ingest(config, Storage(str(tmp_path / "artifacts"))).manifest.counts
    assert counts["rows_out" if first == "reviews" else "events_out"] == 9
    assert counts["items_out"] == counts["users_out"] == counts["relations_out"] == 9


def test_known_corpora_are_named_and_their_items_need_no_mapping(tmp_path: Path) -> None:
    reviews = [{"reviewerID": "u", "asin": "i", "unixReviewTime": SECONDS, "overall": 4.0, "reviewText": "x"}]
    items = [{"asin": "i", "title": "Lamp", "brand": "Acme"}]
    section = yaml.safe_load(corpus.guess(*written(tmp_path, reviews=reviews, meta=items))[0])["corpus"]
    assert section.keys() == {"source", "reviews", "items"} and section["source"] == "amazon"


DAY = 45_000  # as Excel counts: in 2023
STRANGE: dict[str, tuple[str, str, dict[str, Any]]] = {
    "german_excel": ("Kunde;Artikel;Bewertung;Datum;Kommentar\n", "u{k};i{n};4,0;{day};so so\n",
                     {"review_format": {"dates": "excel"}}),
    "japanese": ("ユーザー,商品,評価,日付,レビュー\n", "u{k},i{n},4,2023年1月{d}日,良い\n", {}),
    "russian": ("пользователь,товар,оценка,дата,отзыв\n", "u{k},i{n},4,{d}.01.2023,хорошо\n", {}),
    "recommended": ("user,item,recommended,date,text\n", "u{k},i{n},Not Recommended,2023-01-{d},so so\n",
                    {"stars_min": 0, "stars_max": 1}),
    "scored_like_steam": ("user_id,item_id,score,date,text\n", "u{k},i{n},80%,2023-01-{d},so so\n", {}),
}  # fmt: skip


@pytest.mark.parametrize("name", STRANGE)
def test_strange_headers_dates_and_scales_are_a_configuration_that_reads_every_row(name: str, tmp_path: Path) -> None:
    header, row, settings = STRANGE[name]
    lines = [row.format(k=n % 3, n=n, day=DAY + n, d=f"{n + 10}") for n in range(9)]
    (tmp_path / "file.csv").write_text("".join([header, *lines]), encoding="utf-8")
    text, complete = corpus.guess(str(tmp_path / "file.csv"))
    section = yaml.safe_load(text)["corpus"]
    assert complete and section["source"] == "table" and len(section["columns"]) == 5
    assert {key: section.get(key) for key in settings} == settings
    made = corpus.ingest(RunConfig.model_validate(yaml.safe_load(text)), Storage(str(tmp_path / "artifacts")))
    assert made.manifest.counts["rows_out"] == 9
    reviews = made.table("reviews").to_pylist()
    assert all(r["stars"] is not None and r["text"] for r in reviews)
    assert {pd.Timestamp(r["timestamp"], unit="ms").year for r in reviews} == {2023}


NESTED: dict[str, tuple[dict[str, Any], dict[str, str]]] = {
    "an object around all": (
        {"n": 9, "reviews": [{"user": {"id": f"u{n}"}, "product": {"sku": f"i{n}"}, "rating": {"max": 5, "value": 4},
                              "created_at": SECONDS + n, "body": "so so"} for n in range(9)]},
        {"user_id": "reviews.user.id", "item_id": "reviews.product.sku", "stars": "reviews.rating.value",
         "timestamp": "reviews.created_at", "text": "reviews.body"},
    ),
    "an order with lines": (
        {"customer": "u1", "date": "2023-01-05", "lines": [{"sku": f"i{n}", "qty": 1} for n in range(9)]},
        {"user_id": "customer", "item_id": "lines.sku", "timestamp": "date"},
    ),
    "a user with reviews": (
        {"user_id": "u1", "reviews": [{"item_id": str(n), "posted": "Posted November 5, 2011.", "review": "so so",
                                       "funny": "", "recommend": True} for n in range(9)]},
        {"user_id": "user_id", "item_id": "reviews.item_id", "timestamp": "reviews.posted", "text": "reviews.review",
         "stars": "reviews.recommend"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", NESTED)
def test_the_rows_within_each_record_are_found(name: str, tmp_path: Path) -> None:
    record, columns = NESTED[name]
    text, complete = corpus.guess(*written(tmp_path, file=[record]))
    section = yaml.safe_load(text)["corpus"]
    assert complete and section["columns"] == columns
    assert section["review_format"] == {"each": columns["item_id"].partition(".")[0]}
    made = corpus.ingest(RunConfig.model_validate(yaml.safe_load(text)), Storage(str(tmp_path / "artifacts")))
    assert (made.manifest.counts["rows_in"], made.manifest.counts["rows_out"]) == (9, 9)


def test_every_column_of_a_parquet_file_is_looked_at(tmp_path: Path) -> None:
    path = str(tmp_path / "reviews.parquet")
    pq.write_table(pa.Table.from_pylist(REVIEWS), path)
    text, complete = corpus.guess(path)
    assert complete and yaml.safe_load(text)["corpus"]["columns"]["timestamp"] == "bought_at"
    config = RunConfig.model_validate({"corpus": {"source": "table", "reviews": [path], "columns": {"user_id": "who"}}})
    with pytest.raises(ValueError, match="no column for user_id: expected who, found bought_at, comment, customer, p"):
        corpus.check(config)


@pytest.mark.parametrize("text", ["", "user,item,rating,time,text\n"])
def test_a_file_without_a_row_is_said_to_be_so(text: str, tmp_path: Path) -> None:
    (tmp_path / "file.csv").write_text(text)
    said, complete = corpus.guess(str(tmp_path / "file.csv"))
    assert not complete and "rows: none found; the file is empty, or a header alone" in said


def test_stars_of_yes_and_no_on_another_scale_name_the_remedy(tmp_path: Path) -> None:
    (path,) = written(tmp_path, file=[r | {"rating": "Recommended"} for r in REVIEWS])
    columns = {"user_id": "customer", "item_id": "product_id", "timestamp": "bought_at", "stars": "rating"}
    config = RunConfig.model_validate({"corpus": {"source": "table", "reviews": [path], "columns": columns}})
    assert "no stars were read: corpus.stars_min and stars_max" in json.dumps(corpus.check(config), default=str)


def test_what_is_missing_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert guessed(written(tmp_path, odd=[{"user": "u", "item": "i", "stars": 3}])) == 2
    assert "doubt: timestamp: no column found" in capsys.readouterr().out
    (tmp_path / "bare.csv").write_text(f"u,i,{SECONDS}\nv,j,{SECONDS}\n")
    assert guessed([str(tmp_path / "bare.csv")]) == 2
    assert "header:" in capsys.readouterr().out
    assert guessed([str(tmp_path / "absent.csv")]) == 2
