"""Records with a list: each of its elements is a row, and none is lost without a word."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmrec import corpus
from llmrec.config import RunConfig
from llmrec.corpus.formats.expand import elements
from llmrec.corpus.values.errors import RowError
from llmrec.storage import Artifact, Storage

SECONDS = 1_400_000_000
COLUMNS = {"user_id": "buyer.id", "item_id": "cart.lines.sku", "timestamp": "at", "text": "cart.lines.note"}
ELEMENTS = st.lists(st.dictionaries(st.sampled_from(["sku", "note"]), st.text(max_size=3)), max_size=5)


def order(n: int, lines: Any) -> dict[str, Any]:
    return {"buyer": {"id": f"u{n}"}, "at": SECONDS + n, "cart": {"lines": lines, "coupon": "x"}}


def ingest(tmp_path: Path, path: Path, columns: dict[str, str] = COLUMNS, each: str = "cart.lines") -> Artifact:
    settings = {"source": "table", "reviews": [str(path)], "columns": columns, "review_format": {"each": each}}
    return corpus.ingest(RunConfig.model_validate({"corpus": settings}), Storage(str(tmp_path / "artifacts")))


def test_lines_of_orders_are_rows_and_what_cannot_be_one_is_named(tmp_path: Path) -> None:
    orders = [
        order(0, [{"sku": "a", "note": "so so"}, {"sku": "b"}]),
        order(1, [{"sku": "c"}, {"note": "of nothing"}, {"sku": "d"}]),
        order(2, []),
        order(3, {"sku": "alone"}),
        order(4, "three lamps"),
        order(5, None),
        order(6, json.dumps([{"sku": "written"}])),
    ]
    path = tmp_path / "orders.jsonl"
    path.write_text("\n".join(map(json.dumps, orders)))
    made = ingest(tmp_path, path)
    reviews = made.table("reviews").to_pylist()
    assert {(r["user_id"], r["item_id"]) for r in reviews} == {
        ("u0", "a"), ("u0", "b"), ("u1", "c"), ("u1", "d"), ("u3", "alone"), ("u6", "written"),
    }  # fmt: skip
    bad = {(r["line"], r["reason"]) for r in made.table("quarantine").to_pylist()}
    assert bad == {(2, "missing_item_id"), (5, "no_list"), (6, "no_list")}
    assert made.manifest.counts["rows_in"] == 9 == len(reviews) + len(bad)
    assert made.manifest.info["repairs"]["records_of_no_row"] == 1


def test_the_lists_of_a_parquet_file_and_of_plain_ids_are_read_too(tmp_path: Path) -> None:
    path = tmp_path / "orders.parquet"
    table = {"user": ["u0", "u1"], "at": [SECONDS, SECONDS + 1], "items": [["a", "b"], ["c"]], "unmapped": [1, 2]}
    pd.DataFrame(table).to_parquet(path)
    made = ingest(tmp_path, path, {"user_id": "user", "item_id": "items", "timestamp": "at"}, "items")
    assert {r["item_id"] for r in made.table("reviews").to_pylist()} == {"a", "b", "c"}


@given(ELEMENTS, st.dictionaries(st.sampled_from("abc"), st.integers()))
def test_each_element_comes_once_in_its_lists_place(parts: list[dict[str, str]], beside: dict[str, int]) -> None:
    record = {**beside, "in": {"list": parts, "other": 1}}
    rows = elements(record, ["in", "list"])
    assert [row["in"]["list"] for row in rows] == parts and record["in"] == {"list": parts, "other": 1}
    assert all({k: v for k, v in row.items() if k != "in"} == beside and row["in"]["other"] == 1 for row in rows)


@pytest.mark.parametrize("found", [3, "words", "[not json", None, {"deeper": 1}.keys()])
def test_what_is_no_list_is_said(found: Any) -> None:
    with pytest.raises(RowError, match="column in: found"):
        elements({"in": found}, ["in"])
