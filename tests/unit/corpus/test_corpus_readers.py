"""The formats people have: Amazon of three years, MovieLens of four, any table; ranges of files; patterns."""

import datetime as dt
import gzip
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmrec.config import ConfigError, RunConfig
from llmrec.corpus import ingest
from llmrec.corpus.readers.files import resolve
from llmrec.corpus.readers.lines import read_lines
from llmrec.schema import review_id
from llmrec.storage import Artifact, Storage

SECONDS = 1_400_000_000
RELEASED = 14_614 * 86_400_000  # 2010-01-05

REVIEWS = {
    2014: {"reviewerID": "U1", "asin": "P1", "reviewText": "Fine", "overall": 4.0, "summary": "Good",
           "unixReviewTime": SECONDS, "helpful": [3, 4], "reviewTime": "05 13, 2014", "reviewerName": "A"},
    2018: {"reviewerID": "U1", "asin": "P1", "reviewText": "Fine", "overall": 4.0, "summary": "Good",
           "unixReviewTime": SECONDS, "vote": "12", "verified": True, "style": {"Color:": "red"}},
    2023: {"user_id": "U1", "parent_asin": "P1", "asin": "P1-red", "text": "Fine", "rating": 4.0, "title": "Good",
           "timestamp": SECONDS * 1000, "helpful_vote": 2, "verified_purchase": True, "images": []},
}  # fmt: skip
ITEMS = {
    2014: {"asin": "P1", "title": "Guitar", "description": "Six strings", "brand": "Acme", "price": 19.5,
           "categories": [["Music", "Guitars"]], "salesRank": {"Music": 3}},
    2018: {"asin": "P1", "title": "Guitar", "description": ["Six", "strings"], "brand": "Acme", "price": "$19.50",
           "category": ["Music", "Guitars"], "date": "January 5, 2010", "feature": ["loud"]},
    2023: {"parent_asin": "P1", "title": "Guitar", "description": ["Six", "strings"], "store": "Acme", "price": 19.5,
           "categories": ["Music", "Guitars"], "features": ["loud"], "average_rating": 4.9, "rating_number": 7,
           "details": {"Date First Available": "January 5, 2010"}},
}  # fmt: skip


def run(tmp_path: Path, **corpus: Any) -> Artifact:
    return ingest(RunConfig.model_validate({"corpus": corpus}), Storage(str(tmp_path / "artifacts")))


def write(path: Path, rows: list[dict[str, Any]]) -> str:
    """`rows` in the format that the name tells."""
    lines = "".join(json.dumps(row, default=str) + "\n" for row in rows).encode()
    table = pa.Table.from_pylist(rows)
    if path.suffix == ".parquet":
        pq.write_table(table, path)
    elif path.suffix == ".csv":
        nested = [n for n in table.column_names if pa.types.is_nested(table.schema.field(n).type)]
        pyarrow.csv.write_csv(table.drop_columns(nested), path)
    elif path.suffix == ".gz":
        path.write_bytes(gzip.compress(lines))
    elif path.suffix in (".bz2", ".zst"):
        with pa.CompressedOutputStream(str(path), path.suffix[1:].replace("zst", "zstd")) as out:
            out.write(lines)
    else:
        path.write_bytes(lines)
    return str(path)


@pytest.mark.parametrize("year", REVIEWS)
@pytest.mark.parametrize("name", ["r.json", "r.json.gz", "r.jsonl.bz2", "r.jsonl.zst", "r.csv", "r.parquet"])
def test_amazon_reviews_of_every_year_and_packing(tmp_path: Path, year: int, name: str) -> None:
    corpus = run(tmp_path, source="amazon", reviews=[write(tmp_path / name, [REVIEWS[year]])])
    (row,) = corpus.table("reviews").drop_columns(["review_id", "event_order"]).to_pylist()
    assert row == {
        "user_id": "U1", "item_id": "P1", "timestamp": SECONDS * 1000, "stars": 4.0, "title": "Good", "text": "Fine"
    }  # fmt: skip


@pytest.mark.parametrize("year", ITEMS)
@pytest.mark.parametrize("name", ["m.json", "m.json.gz", "m.parquet"])
def test_amazon_metadata_of_every_year(tmp_path: Path, year: int, name: str) -> None:
    reviews, items = write(tmp_path / "r.json", [REVIEWS[year]]), write(tmp_path / name, [ITEMS[year]])
    corpus = run(tmp_path, source="amazon", reviews=[reviews], items=[items])
    (row,) = corpus.table("items").to_pylist()
    old = year == 2014
    assert row == {
        "item_id": "P1", "title": "Guitar", "description": "Six strings" if old else "Six\nstrings\nloud",
        "brand": "Acme", "price": 19.5, "categories": ["Music", "Guitars"], "available_from": None if old else RELEASED,
        "available_until": None,
    }  # fmt: skip
    counts = corpus.manifest.counts
    assert (counts["items_in"], counts["items_out"], counts["items_quarantined"]) == (1, 1, 0)


def test_metadata_of_2014_are_python_dictionaries_and_bad_rows_are_quarantined(tmp_path: Path) -> None:
    loose = [str(ITEMS[2014]), str(ITEMS[2014] | {"title": "Again"}), "{'asin': __import__('os')}", '{"title": "x"}']
    (tmp_path / "meta.json").write_text("\n".join(loose))
    corpus = run(tmp_path, source="amazon", reviews=[write(tmp_path / "r.json", [REVIEWS[2014]])],
                 items=[str(tmp_path / "meta.json")])  # fmt: skip
    assert corpus.table("items").column("title").to_pylist() == ["Guitar"]
    found = {(row["line"], row["reason"]) for row in corpus.table("quarantine").to_pylist()}
    assert found == {(3, "malformed_json"), (4, "missing_item_id")}
    assert corpus.manifest.counts["quarantined"] == 0 and corpus.manifest.counts["items_quarantined"] == 2
    assert corpus.manifest.counts["items_merged"] == 1


def test_what_sees_the_future_is_never_read(tmp_path: Path) -> None:
    corpora = []
    for version, (stars, votes) in enumerate([(4.9, 2), (1.1, 9_000)]):
        folder = tmp_path / str(version)
        folder.mkdir()
        reviews = write(folder / "r.json", [REVIEWS[2023] | {"helpful_vote": votes, "vote": votes}])
        items = write(folder / "m.json", [ITEMS[2023] | {"average_rating": stars, "rating_number": votes}])
        corpora.append(run(folder, source="amazon", reviews=[reviews], items=[items]))
    for table in ("reviews", "items"):
        assert corpora[0].table(table).equals(corpora[1].table(table))


GENRES_19 = "|".join("1" if n in (1, 5) else "0" for n in range(19))
MOVIELENS = {
    "100k": ({"u.data": b"7\t1\t5\t881250949\n"},
             {"u.item": f"1|Am\xe9lie (1995)|05-Jan-2010||http://x|{GENRES_19}\n".encode("latin-1")}),
    "recbole": ({"ml.inter": b"user_id:token\titem_id:token\trating:float\ttimestamp:float\n7\t1\t5\t881250949\n"},
                {"ml.item": "item_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq\n"
                            "1\tAm\xe9lie (1995)\t1995\tAction Comedy\n".encode()}),
    "latest": ({"ratings.csv": b"userId,movieId,rating,timestamp\n7,1,5.0,881250949\n"},
               {"movies.csv": 'movieId,title,genres\n1,"Am\xe9lie (1995)",Action|Comedy\n'.encode()}),
    "1m": ({"ratings.dat": b"7::1::5::881250949\n"},
           {"movies.dat": "1::Am\xe9lie (1995)::Action|Comedy\n".encode("latin-1")}),
}  # fmt: skip


@pytest.mark.parametrize("version", MOVIELENS)
def test_movielens_of_every_version(tmp_path: Path, version: str) -> None:
    reviews, items = MOVIELENS[version]
    for name, content in (reviews | items).items():
        (tmp_path / name).write_bytes(content)
    corpus = run(tmp_path, source="movielens", reviews=[str(tmp_path / n) for n in reviews],
                 items=[str(tmp_path / n) for n in items])  # fmt: skip
    (event,) = corpus.table("reviews").drop_columns(["review_id", "event_order"]).to_pylist()
    assert event == {
        "user_id": "7", "item_id": "1", "timestamp": 881_250_949_000, "stars": 5.0, "title": None, "text": None
    }  # fmt: skip
    (item,) = corpus.table("items").to_pylist()
    assert (item["item_id"], item["title"], item["categories"]) == ("1", "Amélie (1995)", ["Action", "Comedy"])
    assert item["available_from"] == (RELEASED if version == "100k" else None)


def test_movielens_has_half_stars(tmp_path: Path) -> None:
    (tmp_path / "ratings.csv").write_text(f"userId,movieId,rating,timestamp\n1,1,0.5,{SECONDS}\n1,2,0,{SECONDS}\n")
    corpus = run(tmp_path, source="movielens", reviews=[str(tmp_path / "ratings.csv")])
    assert corpus.table("reviews").column("stars").to_pylist() == [0.5, None]
    assert corpus.manifest.info["repairs"] == {"stars_out_of_range": 1}


TABLE = [
    {"wer": 1, "was": "a", "wann": dt.datetime(2020, 1, 1), "text": "gut", "nr": "x1"},
    {"wer": 2, "was": "b", "wann": dt.datetime(2020, 1, 2), "text": "好", "nr": "x2"},
]
COLUMNS = {"user_id": "wer", "item_id": "was", "timestamp": "wann", "review_id": "nr"}


@pytest.mark.parametrize("name", ["t.csv", "t.parquet"])
def test_any_table_through_a_column_mapping(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / name, TABLE)
    corpus = run(tmp_path, source="table", reviews=[path], columns=COLUMNS)
    rows = corpus.table("reviews").select(["review_id", "user_id", "item_id", "timestamp", "stars", "text"]).to_pylist()
    first = 1_577_836_800_000
    assert rows == [
        {"review_id": "x1", "user_id": "1", "item_id": "a", "timestamp": first, "stars": None, "text": "gut"},
        {
            "review_id": "x2",
            "user_id": "2",
            "item_id": "b",
            "timestamp": first + 86_400_000,
            "stars": None,
            "text": "好",
        },
    ]


def test_a_mapping_that_cannot_be_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", TABLE)
    with pytest.raises(ValueError, match=r"no column for stars: expected note, found nr, text, wann, was, wer"):
        run(tmp_path, source="table", reviews=[path], columns=COLUMNS | {"stars": "note"})
    with pytest.raises(ValueError, match=r"columns maps \['sterne'\].*allowed: review_id, user_id"):
        run(tmp_path, source="table", reviews=[path], columns={"sterne": "note"})
    with pytest.raises(ValueError, match="source 'sample' has its own names"):
        run(tmp_path, columns=COLUMNS)
    assert issubclass(ConfigError, ValueError)


def test_a_review_id_that_two_reviews_share_is_replaced_in_both(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("llmrec.corpus.passes.build.BUCKET_BYTES", 10)
    rows = [{"wer": n, "was": "a", "wann": SECONDS, "nr": "same" if n < 2 else f"own{n}"} for n in range(9)]
    path = write(tmp_path / "t.csv", rows)
    corpus = run(tmp_path, source="table", reviews=[path], columns=COLUMNS)
    ids = {row["user_id"]: row["review_id"] for row in corpus.table("reviews").to_pylist()}
    assert ids == {str(n): review_id(str(n), "a", SECONDS * 1000) if n < 2 else f"own{n}" for n in range(9)}
    assert corpus.manifest.info["repairs"] == {"review_id_shared": 2}


def test_patterns_name_files_folders_and_uris(tmp_path: Path) -> None:
    for name in ("a.json", "b.json", "c.txt", "deep/d.json", "deep/er/e.json", "_hidden.json"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")

    def found(*patterns: str) -> list[str]:
        return [file.path.removeprefix(f"{tmp_path}/") for file in resolve(patterns)]

    assert found(f"{tmp_path}/a.json") == found(f"file://{tmp_path}/a.json") == ["a.json"]
    assert found(f"{tmp_path}/*.json") == found(f"{tmp_path}/[ab].json") == ["a.json", "b.json"]
    assert found(f"{tmp_path}/*/*.json", f"{tmp_path}/deep/d.json") == ["deep/d.json"]
    assert found(f"{tmp_path}/**/*.json") == ["a.json", "b.json", "deep/d.json", "deep/er/e.json"]
    assert found(str(tmp_path / "deep")) == ["deep/d.json"]
    with pytest.raises(FileNotFoundError, match=r"nothing\*.json.*names no file"):
        resolve([f"{tmp_path}/nothing*.json"])
    with pytest.raises(ValueError, match="no row in "):
        run(tmp_path, source="amazon", reviews=[str(tmp_path / "c.txt")])


def test_a_memory_filesystem_of_fsspec_works(tmp_path: Path) -> None:
    import fsspec

    with fsspec.open("memory://corpus/r.json", "wb") as out:
        out.write(json.dumps(REVIEWS[2018]).encode())
    assert run(tmp_path, source="amazon", reviews=["memory://corpus/*.json"]).manifest.counts["rows_out"] == 1


@given(st.lists(st.binary(max_size=8).map(lambda b: b.replace(b"\r", b"")), max_size=20), st.integers(1, 40))
def test_ranges_of_a_file_give_each_line_once(
    tmp_path_factory: pytest.TempPathFactory, rows: list[bytes], step: int
) -> None:
    path = tmp_path_factory.mktemp("ranges") / "r.json"
    content = b"\n".join(rows)
    path.write_bytes(content)
    (file,) = resolve([str(path)])
    edges = [*range(0, max(1, len(content)), step), None]
    ranges = [read_lines(file, edges[n] or 0, edges[n + 1], 100) for n in range(len(edges) - 1)]
    lines = content.split(b"\n")
    expected = lines[:-1] if not lines[-1] else lines
    assert [line.data for part in ranges for line in part] == expected


def test_a_file_read_in_ranges_and_buckets_gives_the_same_tables(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [REVIEWS[2018] | {"reviewerID": f"U{n % 40}", "asin": f"P{n % 70}", "unixReviewTime": SECONDS + n % 9}
            for n in range(600)]  # fmt: skip
    path = write(tmp_path / "r.json", rows)
    with Path(path).open("ab") as out:
        out.write(b"\nbroken\n")
    whole = run(tmp_path, source="amazon", reviews=[path])
    monkeypatch.setattr("llmrec.corpus.passes.plan.SPLIT_BYTES", 5_000)
    monkeypatch.setattr("llmrec.corpus.passes.build.BUCKET_BYTES", 20_000)
    (tmp_path / "other").mkdir()
    parted = run(tmp_path / "other", source="amazon", reviews=[path])
    assert len(parted.uris("reviews")) > 3
    order = [("timestamp", "ascending"), ("event_order", "ascending")]
    assert parted.table("reviews").sort_by(order).equals(whole.table("reviews").sort_by(order))
    places = [("line", "ascending")]
    assert parted.table("quarantine").sort_by(places).equals(whole.table("quarantine").sort_by(places))
    assert parted.manifest.counts == whole.manifest.counts
    assert {**parted.manifest.info, "languages": None} == {**whole.manifest.info, "languages": None}


def embedded(vector: Any, name: str = "P1") -> dict[str, Any]:
    return {"asin": name, "title": name, "image": {"clip": vector}}


def test_vectors_of_items_are_read_and_bad_ones_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bad = ["words", [], [1, None, 2], [1.0, float("nan"), 0.0], [1.0, float("inf"), 0.0], [1e39, 0, 0], [True, 0, 0],
           {"a": 1}, [[1.0], [2.0], [3.0]]]  # fmt: skip
    rows = [embedded([1, 2.5, -3.0]), embedded([0.5] * 3, "P2"), embedded([0.5] * 4, "P3"), {"asin": "P4"}]
    rows += [embedded(vector, f"B{n}") for n, vector in enumerate(bad)]
    (tmp_path / "m.json").write_text("".join(json.dumps(row) + "\n" for row in rows))
    monkeypatch.setattr("llmrec.corpus.passes.build.BUCKET_BYTES", 200)
    corpus = run(tmp_path, source="amazon", reviews=[write(tmp_path / "r.json", [REVIEWS[2018]])],
                 items=[str(tmp_path / "m.json")], item_vectors={"clip": "image.clip"})  # fmt: skip
    assert len(corpus.uris("items")) > 1
    table = corpus.table("items")
    found = dict(zip(table["item_id"].to_pylist(), table["vector_clip"].to_pylist(), strict=True))
    assert found.pop("P1") == [1.0, 2.5, -3.0] and found.pop("P2") == [0.5] * 3
    assert len(found) == 2 + len(bad) and set(found.values()) == {None}
    unreadable = len(bad) - 1  # [] is nothing rather than something unreadable
    assert corpus.manifest.info["repairs"] == {"vector_clip_unreadable": unreadable, "vector_clip_wrong_length": 1}
    assert corpus.manifest.counts["items_quarantined"] == 0


def test_vectors_come_from_parquet_of_any_table_in_order(tmp_path: Path) -> None:
    items = pa.table({"nr": ["b", "a"], "bild": pa.array([[1.0, 2.0], None], pa.list_(pa.float16(), 2))})
    pq.write_table(items, tmp_path / "m.parquet")
    corpus = run(tmp_path, source="table", reviews=[write(tmp_path / "t.parquet", TABLE)], columns=COLUMNS,
                 items=[str(tmp_path / "m.parquet")], item_columns={"item_id": "nr"},
                 item_vectors={"image": "bild"})  # fmt: skip
    rows = {row["item_id"]: row["vector_image"] for row in corpus.table("items").to_pylist()}
    assert rows == {"a": None, "b": [1.0, 2.0]}
    assert corpus.manifest.info["repairs"] == {}


def test_vectors_in_cells_of_a_csv_are_read(tmp_path: Path) -> None:
    cells = ["[1, -2.5]", "1 -2.5", "1;-2.5", " [ 1.0 , -2.5e0 ] ", "1,,2", "[1, nan]", "one two", "[1, 2"]
    rows = "".join(f"i{n}\t{cell}\n" for n, cell in enumerate(cells))
    (tmp_path / "m.tsv").write_text("nr\tbild\n" + rows)
    corpus = run(tmp_path, source="table", reviews=[write(tmp_path / "t.parquet", TABLE)], columns=COLUMNS,
                 items=[str(tmp_path / "m.tsv")], item_columns={"item_id": "nr"},
                 item_vectors={"image": "bild"})  # fmt: skip
    found = [row["vector_image"] for row in corpus.table("items").sort_by("item_id").to_pylist()]
    assert found == [[1.0, -2.5]] * 4 + [None] * 3 + [[1.0, 2.0]]
    assert corpus.manifest.info["repairs"] == {"vector_image_unreadable": 3}


def test_vectors_that_no_file_holds_are_refused(tmp_path: Path) -> None:
    files = {
        "reviews": [write(tmp_path / "r.json", [REVIEWS[2018]])],
        "items": [write(tmp_path / "m.json", [{"asin": "P"}])],
    }
    with pytest.raises(ValueError, match=r"no column for vector_image: expected clip, found asin"):
        run(tmp_path, source="amazon", **files, item_vectors={"image": "clip"})
    with pytest.raises(ValueError, match=r"item_vectors \['image'\] need `items`: found no item files"):
        run(tmp_path, item_vectors={"image": "clip"})
    with pytest.raises(ValueError, match="should match pattern"):
        run(tmp_path, source="amazon", **files, item_vectors={"Image-1": "clip"})


def test_contexts_are_read_as_labels_and_survive_new_review_ids(tmp_path: Path) -> None:
    values = ["mobile", " web ", 7, 7.0, True, None, "", {"a": 1}, "x" * 600]
    rows = [{"wer": n, "was": "a", "wann": SECONDS, "nr": "same", "where": v} for n, v in enumerate(values)]
    (tmp_path / "t.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    corpus = run(tmp_path, source="table", reviews=[str(tmp_path / "t.jsonl")], columns=COLUMNS,
                 context_columns={"device": "where"})  # fmt: skip
    found = {row["user_id"]: row["context_device"] for row in corpus.table("reviews").to_pylist()}
    assert list(map(found.get, map(str, range(9)))) == ["mobile", "web", "7", "7", "True", None, None, None, None]
    assert corpus.manifest.info["repairs"] == {"context_device_unreadable": 2, "review_id_shared": 9}
    with pytest.raises(ValueError, match="no column for context_place: expected place"):
        run(tmp_path, source="table", reviews=[str(tmp_path / "t.jsonl")], columns=COLUMNS,
            context_columns={"place": "place"})  # fmt: skip
    with pytest.raises(ValueError, match=r"context_columns \['device'\]: source 'sample' has no such columns"):
        run(tmp_path, context_columns={"device": "where"})
