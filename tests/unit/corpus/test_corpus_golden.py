"""A corrupted corpus with known damage: every row is kept or quarantined with its file, line and reason."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from llmrec.config import RunConfig
from llmrec.corpus import check, ingest
from llmrec.storage import Artifact, Storage

SECONDS = 1_400_000_000


def review(n: int, **changes: Any) -> dict[str, Any]:
    row = {"reviewerID": f"U{n}", "asin": f"P{n}", "overall": 4.0, "unixReviewTime": SECONDS + n, "summary": "Good",
           "reviewText": f"Text {n}", "helpful": [0, 0]}  # fmt: skip
    row.update(changes)
    return {k: v for k, v in row.items() if v is not ...}


def line(n: int, **changes: Any) -> bytes:
    return json.dumps(review(n, **changes)).encode()


#: (the line, None or the reason why it is refused). Kept rows are numbered by their place here.
GOLDEN: list[tuple[bytes, str | None]] = [
    (line(1), None),
    (b'{"reviewerID": "U2", "asin": "P2", "overall"', "malformed_json"),
    (b'{"reviewerID": "U3\xff\xfe", "asin": "P3"}', "invalid_utf8"),
    (line(4, reviewerID=...), "missing_user_id"),
    (line(5, asin=""), "missing_item_id"),
    (line(6, overall=float("nan")), None),
    (line(7, overall=11), None),
    (line(8, overall="lots"), None),
    (line(9, unixReviewTime=(SECONDS + 9) * 1000), None),
    (line(10, unixReviewTime="2014-05-13T16:53:30Z"), None),
    (line(11, unixReviewTime="yesterday"), "timestamp_not_a_time"),
    (line(12, unixReviewTime=...), "missing_timestamp"),
    (line(13, unixReviewTime=17), "timestamp_out_of_range"),
    (line(14, reviewText="nul \x00 inside"), None),
    (line(15, reviewText="<p>5&quot; <b>strings</b></p>"), None),
    (line(16, reviewText=""), None),
    (line(17, reviewText="x" * 100_000), None),
    (line(18, reviewText="y" * 100_001), None),
    (line(1, overall=...), "copy"),
    (line(20, reviewText="非常好 👨‍👩‍👧 café"), None),
    (b"[1, 2, 3]", "not_an_object"),
    (b"[" * 100_000, "malformed_json"),
    (line(23, overall=...), None),
    (line(24, reviewerID="U\x0024"), "bad_user_id"),
    (b'{"reviewerID": "' + b"z" * 300_000 + b'"}', "row_too_long"),
    (line(26, reviewText="half \ud83d"), None),
    (line(27, reviewerID=27.0, asin=27), None),
]


def run(tmp_path: Path, **corpus: Any) -> Artifact:
    return ingest(RunConfig.model_validate({"corpus": corpus}), Storage(str(tmp_path / "artifacts")))


@pytest.fixture(scope="module")
def golden(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    folder = tmp_path_factory.mktemp("golden")
    (folder / "reviews.json").write_bytes(b"\n".join(row for row, _ in GOLDEN) + b"\n\n")
    return run(folder, source="amazon", reviews=[str(folder / "reviews.json")], max_row_bytes=200_000)


def test_good_and_quarantined_make_the_input(golden: Artifact) -> None:
    counts = golden.manifest.counts
    assert counts["rows_in"] == len(GOLDEN)
    assert counts["rows_out"] == sum(reason is None for _, reason in GOLDEN) == golden.table("reviews").num_rows
    assert counts["quarantined"] == golden.table("quarantine").num_rows


def test_every_bad_row_has_its_line_and_reason(golden: Artifact) -> None:
    found = {(row["line"], row["reason"]) for row in golden.table("quarantine").to_pylist()}
    assert found == {(n, reason) for n, (_, reason) in enumerate(GOLDEN, 1) if reason}
    for row in golden.table("quarantine").to_pylist():
        assert row["source"].endswith("reviews.json") and row["detail"] and row["raw"] and len(row["raw"]) <= 2_000


def test_good_rows_are_repaired_and_the_repairs_counted(golden: Artifact) -> None:
    rows = {row["user_id"]: row for row in golden.table("reviews").to_pylist()}
    assert rows["U1"]["text"] == "Text 1", "of copies the one that says more stays"
    assert rows["U9"]["timestamp"] == (SECONDS + 9) * 1000
    assert rows["U10"]["timestamp"] == (SECONDS + 10) * 1000
    assert rows["U15"]["text"] == '5" strings'
    assert rows["U16"]["text"] is None and rows["U23"]["stars"] is None and rows["U1"]["stars"] == 4
    assert [rows[u]["stars"] for u in ("U6", "U7", "U8")] == [None] * 3
    assert [len(rows[u]["text"]) for u in ("U17", "U18")] == [100_000, 100_000]
    assert rows["U20"]["text"] == "非常好 👨‍👩‍👧 café"
    assert (rows["27"]["item_id"], rows["U26"]["text"]) == ("27", "half \ufffd")
    info = golden.manifest.info
    assert (info["empty_texts"], info["without_stars"], info["copies"]) == (1, 4, 1)
    assert info["repairs"] == {"text_nul": 1, "text_markup": 1, "text_cut": 1, "text_surrogate": 1,
                               "stars_not_rated": 1, "stars_out_of_range": 1, "stars_unreadable": 1}  # fmt: skip


def test_events_are_in_order_of_time_and_pair_hash(golden: Artifact) -> None:
    rows = golden.table("reviews").to_pylist()
    keys = [(row["timestamp"], row["event_order"]) for row in rows]
    assert keys == sorted(keys)
    assert len({row["review_id"] for row in rows}) == len(rows)


@pytest.mark.parametrize("kept_share", [0.3, 0.7, 0.99])
def test_of_a_cut_off_gzip_the_rows_before_the_cut_are_kept(tmp_path: Path, kept_share: float) -> None:
    text = b"".join(line(n, reviewText=f"{n * 7919 % 10007} words {n}") + b"\n" for n in range(3_000))
    packed = gzip.compress(text)
    (tmp_path / "cut.json.gz").write_bytes(packed[: int(kept_share * len(packed))])
    corpus = run(tmp_path, source="amazon", reviews=[str(tmp_path / "cut.json.gz")])
    (bad,) = corpus.table("quarantine").to_pylist()
    kept = corpus.manifest.counts["rows_out"]
    assert bad["reason"] == "truncated_file" and "cut off" in bad["detail"] and bad["source"].endswith("cut.json.gz")
    assert bad["line"] == kept + 1 == corpus.manifest.counts["rows_in"]
    assert kept > 3_000 * (kept_share - 0.1)
    assert {row["user_id"] for row in corpus.table("reviews").to_pylist()} == {f"U{n}" for n in range(kept)}


def test_a_damaged_gzip_gives_its_rows_up_to_the_damage(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    packed = bytearray(gzip.compress(b"".join(line(n) + b"\n" for n in range(60_000))))
    packed[len(packed) // 2 : len(packed) // 2 + 60] = b"\xff" * 60
    (tmp_path / "bad.json.gz").write_bytes(bytes(packed))
    corpus = run(tmp_path, source="amazon", reviews=[str(tmp_path / "bad.json.gz")])
    assert corpus.manifest.counts["rows_out"] > 1_000
    assert "truncated_file" in corpus.manifest.info["reasons"]
    assert "truncated_files: 1 files end before their end" in caplog.text


def test_gzip_members_follow_one_another(tmp_path: Path) -> None:
    (tmp_path / "two.json.gz").write_bytes(gzip.compress(line(1) + b"\n") + gzip.compress(line(2) + b"\n"))
    assert run(tmp_path, source="amazon", reviews=[str(tmp_path / "two.json.gz")]).manifest.counts["rows_out"] == 2


def test_an_open_quote_in_csv_does_not_eat_the_rows_after_it(tmp_path: Path) -> None:
    rows = [f'U{n},P{n},{SECONDS + n},"two\nlines, ""quoted"" {n}"' for n in range(50)]
    rows[10] = f'U10,P10,{SECONDS},"never closed'
    rows[20] = "U20,P20"
    (tmp_path / "r.csv").write_text("user_id,item_id,timestamp,text\n" + "\n".join(rows) + "\n")
    corpus = run(tmp_path, source="table", reviews=[str(tmp_path / "r.csv")])
    kept = {row["user_id"]: row["text"] for row in corpus.table("reviews").to_pylist()}
    assert set(kept) == {f"U{n}" for n in range(50) if n != 20} and kept["U10"] == '"never closed'
    assert kept["U11"] == 'two\nlines, "quoted" 11'
    assert corpus.manifest.counts["quarantined"] == corpus.table("quarantine").num_rows == 1


def test_an_empty_corpus_and_one_without_a_good_row_are_refused(tmp_path: Path) -> None:
    (tmp_path / "empty.json").write_bytes(b"\n\n")
    with pytest.raises(ValueError, match="no row in "):
        run(tmp_path, source="amazon", reviews=[str(tmp_path / "empty.json")])
    (tmp_path / "bad.json").write_bytes(b"{}}\n{}}\n")
    with pytest.raises(ValueError, match=r"no usable review among 2 rows \(2 malformed_json\).*bad.json:1"):
        run(tmp_path, source="amazon", reviews=[str(tmp_path / "bad.json")])
    assert not list((tmp_path / "artifacts").rglob("manifest.json"))
    assert not list((tmp_path / "artifacts").rglob("scratch*"))


def test_a_corpus_without_times_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "r.json").write_bytes(line(1, unixReviewTime=...))
    with pytest.raises(ValueError, match=r"r.json: no column for timestamp: expected unixReviewTime.*leak-free"):
        run(tmp_path, source="amazon", reviews=[str(tmp_path / "r.json")])


def test_check_reports_what_ingest_would_do_and_writes_nothing(golden: Artifact, tmp_path: Path) -> None:
    config = RunConfig.model_validate({"corpus": golden.manifest.config["corpus"], "storage": str(tmp_path / "s")})
    report = check(config)
    assert {k: report[k] for k in golden.manifest.counts} == golden.manifest.counts
    assert report["reasons"] == golden.manifest.info["reasons"] and report["users"] == golden.manifest.info["users"]
    assert len(report["examples"]) == golden.manifest.counts["quarantined"] - 1, (
        "examples are of rows refused at reading"
    )
    assert not list(tmp_path.iterdir())


def test_a_changed_input_is_read_again_and_an_unchanged_one_is_not(tmp_path: Path) -> None:
    path = tmp_path / "r.json"
    path.write_bytes(line(1) + b"\n")
    first = run(tmp_path, source="amazon", reviews=[str(path)])
    again = run(tmp_path, source="amazon", reviews=[str(path)])
    path.write_bytes(line(1) + b"\n" + line(2) + b"\n")
    changed = run(tmp_path, source="amazon", reviews=[str(path)])
    assert (first.reused, again.reused, changed.reused) == (False, True, False)
    assert first.id == again.id != changed.id


def test_items_say_until_when_they_are_to_be_had(tmp_path: Path) -> None:
    (tmp_path / "r.csv").write_text("user_id,item_id,timestamp\nu,a,1400000000\nv,b,1400000001\n")
    (tmp_path / "i.csv").write_text(
        "item_id,available_until,available\na,2015-01-01,yes\nb,2015-01-01,no\nc,,\nd,some day,perhaps\n"
    )
    made = run(tmp_path, source="table", reviews=[str(tmp_path / "r.csv")], items=[str(tmp_path / "i.csv")])
    rows = {row["item_id"]: row["available_until"] for row in made.table("items").to_pylist()}
    assert rows == {"a": 1_420_070_400_000, "b": 0, "c": None, "d": None}
    repairs = made.manifest.info["repairs"]
    assert repairs["available_until_unreadable"] == repairs["available_unreadable"] == 1
