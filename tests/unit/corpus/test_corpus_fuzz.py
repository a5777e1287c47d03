"""No value stops anything: whatever a file holds, its rows are kept or quarantined, each with its line."""

import csv
import io
import json
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llmrec import corpus
from llmrec.config import RunConfig
from llmrec.storage import Storage

SECONDS = 1_400_000_000
GOOD = {"user_id": "sound", "item_id": "sound", "timestamp": SECONDS, "stars": 4, "text": "fine"}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**30), 10**30) | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
ROWS = st.lists(st.fixed_dictionaries({}, optional=dict.fromkeys(GOOD, JSON)).map(lambda row: GOOD | row), max_size=8)
CELLS = st.text(st.characters(codec="utf-8", exclude_characters="\r\n\0"), max_size=12)
TABLES = st.lists(st.lists(CELLS, min_size=5, max_size=5), max_size=8)
FUZZ = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def counted(path: Path, n: int, **settings: Any) -> dict[str, Any]:
    """The report on a file of `n` records, of which rows in = rows out + quarantined."""
    config = RunConfig.model_validate({"corpus": {"source": "table", "reviews": [str(path)], **settings}})
    report = corpus.check(config)
    assert report["rows_in"] == n == report["rows_out"] + report["quarantined"]
    assert sum(report["reasons"].values()) == report["quarantined"]
    return report


@FUZZ
@given(ROWS)
def test_json_lines_and_arrays(tmp_path: Path, rows: list[dict[str, Any]]) -> None:
    rows = [GOOD, *rows]
    (tmp_path / "r.json").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "a.json").write_text(json.dumps(rows, indent=1))
    (tmp_path / "p.json").write_text("".join(json.dumps(row, indent=1) + "\n" for row in rows))
    lines = counted(tmp_path / "r.json", len(rows))
    for other in ("a.json", "p.json"):
        assert counted(tmp_path / other, len(rows))["reasons"] == lines["reasons"]


@FUZZ
@given(ROWS)
def test_python_literals(tmp_path: Path, rows: list[dict[str, Any]]) -> None:
    rows = [GOOD, *rows]
    (tmp_path / "r.json").write_text("".join(repr(row) + "\n" for row in rows), encoding="utf-8", errors="replace")
    counted(tmp_path / "r.json", len(rows))


@FUZZ
@given(TABLES, st.sampled_from([",", ";", "\t"]))
def test_quoted_csv(tmp_path: Path, rows: list[list[str]], separator: str) -> None:
    out = io.StringIO()
    writer = csv.writer(out, delimiter=separator, quoting=csv.QUOTE_ALL, lineterminator="\n")
    writer.writerows([list(GOOD), [str(v) for v in GOOD.values()], *rows])
    (tmp_path / "r.csv").write_bytes(out.getvalue().encode())
    counted(tmp_path / "r.csv", len(rows) + 1, review_format={"separator": separator})


@FUZZ
@given(st.lists(st.text(st.sampled_from('ab" ,;\\'), max_size=12), max_size=8))
def test_no_text_of_an_unquoted_file_takes_a_row_with_it(tmp_path: Path, texts: list[str]) -> None:
    rows = [f"u{n}\ti{n}\t{SECONDS + n}\t4\tx{text}" for n, text in enumerate(["sound", *texts])]
    (tmp_path / "r.tsv").write_text("\n".join(["user_id\titem_id\ttimestamp\tstars\ttext", *rows]) + "\n")
    assert counted(tmp_path / "r.tsv", len(rows))["quarantined"] == 0


@FUZZ
@given(st.lists(st.text(st.sampled_from('ab" ,;'), max_size=12), max_size=8))
def test_a_text_that_begins_with_a_quote_takes_no_row_with_it(tmp_path: Path, texts: list[str]) -> None:
    rows = [f'u{n}\ti{n}\t{SECONDS + n}\t4\t"{text}' for n, text in enumerate(["sound", *texts])]
    (tmp_path / "r.tsv").write_text("\n".join(["user_id\titem_id\ttimestamp\tstars\ttext", *rows]) + "\n")
    assert counted(tmp_path / "r.tsv", len(rows))["quarantined"] == 0


@FUZZ
@given(
    st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=8),
    st.sampled_from(["ms", "us", "ns"]),
    st.binary(max_size=8),
)
def test_parquet(tmp_path: Path, times: list[int], unit: str, raw: bytes) -> None:
    n = len(times)
    table = pa.table({
        "user_id": pa.array([Decimal(k) for k in range(n)], pa.decimal128(38, 0)),
        "item_id": pa.array([b"i"] * n, pa.binary()),
        "timestamp": pa.array(times, pa.timestamp(unit)),
        "stars": pa.array(["4", None] * n)[:n].dictionary_encode(),
        "text": pa.array([raw] * n, pa.binary()),
        "unmapped": pa.array([2**62] * n, pa.timestamp("ms")),
    })  # fmt: skip
    sound = pa.table({
        "user_id": ["sound"], "item_id": ["sound"], "timestamp": [SECONDS], "stars": [4.0], "text": ["fine"]
    })  # fmt: skip
    pq.write_table(table, tmp_path / "r.parquet")
    pq.write_table(sound, tmp_path / "s.parquet")
    config = {"source": "table", "reviews": [str(tmp_path / "r.parquet"), str(tmp_path / "s.parquet")]}
    report = corpus.check(RunConfig.model_validate({"corpus": config}))
    assert report["rows_in"] == n + 1 == report["rows_out"] + report["quarantined"]


#: Poison -> the reason it is named with, or None where the row is kept without the value.
POISON: dict[bytes, str | None] = {
    b'{"user_id": "p", "item_id"': "malformed_json",
    b'{"user_id": "\xff\xfe", "item_id": "p"}': "invalid_utf8",
    b'{"user_id": null, "item_id": "p", "timestamp": 1400000000}': "missing_user_id",
    b'{"user_id": "p", "item_id": "nan", "timestamp": 1400000000}': "missing_item_id",
    b'{"user_id": "p", "item_id": "p", "timestamp": 1e300}': "timestamp_out_of_range",
    b'{"user_id": "p", "item_id": "p", "timestamp": 2014050309}': "timestamp_ambiguous",
    b'{"user_id": "p", "item_id": "p", "timestamp": {"a": 1}}': "timestamp_not_a_time",
    b'{"user_id": ["p"], "item_id": "p", "timestamp": 1400000000}': "bad_user_id",
    b"[" * 5_000: "malformed_json",
    b"[1]": "not_an_object",
    b'{"user_id": "p", "item_id": "s", "timestamp": 1400000000, "stars": ' + b"9" * 5_000 + b"}": None,
    b'{"user_id": "p", "item_id": "t", "timestamp": 1400000000, "stars": [[]], "text": {"a": 1}}': None,
    b'{"user_id": "p", "item_id": "u", "timestamp": 1400000000, "text": "\\ud800"}': None,
}


@pytest.mark.parametrize("n", [2_000, pytest.param(200_000, marks=pytest.mark.slow)])
def test_of_many_rows_with_one_poison_of_each_kind_every_other_arrives(tmp_path: Path, n: int) -> None:
    poison = {n // 20 * (k + 1): line for k, line in enumerate(POISON)}
    with (tmp_path / "r.json").open("wb") as out:
        for line in range(1, n + 1):
            sound = GOOD | {"user_id": f"u{line % 997}", "item_id": f"i{line}", "timestamp": SECONDS + line}
            out.write((poison.get(line) or json.dumps(sound).encode()) + b"\n")
    config = RunConfig.model_validate({"corpus": {"source": "table", "reviews": [str(tmp_path / "r.json")]}})
    artifact = corpus.ingest(config, Storage(str(tmp_path / "s")))
    bad = {place: POISON[line] for place, line in poison.items() if POISON[line]}
    found = artifact.table("quarantine").to_pylist()
    assert {row["line"]: row["reason"] for row in found} == bad
    assert all(row["source"].endswith("r.json") and row["detail"] for row in found)
    assert artifact.manifest.counts["rows_out"] == n - len(bad)
    assert Counter(artifact.table("reviews")["user_id"].to_pylist())["p"] == len(POISON) - len(bad)
