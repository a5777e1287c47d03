"""Files as strangers bring them: each is read with the right values, or refused in words that name file and remedy."""

import bz2
import csv
import datetime as dt
import gzip
import io
import json
import lzma
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from llmrec import corpus
from llmrec.config import RunConfig
from llmrec.storage import Artifact, Storage

SECONDS = 1_400_000_000
NAMES = ("user_id", "item_id", "timestamp", "stars", "text")
TEXTS = ["the first word", "another one", "and a third"]
ROWS = [(f"u{n}", f"i{n}", SECONDS + n, n + 1, text) for n, text in enumerate(TEXTS)]
RECORDS = [dict(zip(NAMES, row, strict=True)) for row in ROWS]
LINES = [json.dumps(row) for row in RECORDS]
GERMAN = ["schön groß", "für Köche", "Äpfel über Öl"]
FUZZ = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def ingested(path: Path, content: bytes, **settings: Any) -> Artifact:
    path.write_bytes(content)
    config = RunConfig.model_validate({"corpus": {"source": "table", "reviews": [str(path)], **settings}})
    return corpus.ingest(config, Storage(str(path.parent / "artifacts")))


def rows_of(artifact: Artifact) -> list[tuple[Any, ...]]:
    table = artifact.table("reviews").select(list(NAMES)).sort_by("item_id").to_pylist()
    return [(*row.values(),) for row in table]


def as_read(rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    return [(user, item, seconds * 1_000, float(stars), text) for user, item, seconds, stars, text in rows]


def written(
    separator: str = ",", quote: str = "", end: str = "\n", texts: list[str] = TEXTS, header: tuple[str, ...] = NAMES
) -> str:
    rows = [header, *((*row[:4], text) for row, text in zip(ROWS, texts, strict=True))]
    return "".join(separator.join(f"{quote}{value}{quote}" for value in row) + end for row in rows)


#: What a file holds whose three rows are ROWS, whatever stands around them.
SAME: dict[str, str | bytes] = {
    "semicolons": written(";"), "bars": written("|"), "tabs": written("\t"), "carets": written("^"),
    "tildes": written("~"), "aligned by blanks": written("   "), "unit separators": written("\x1f"),
    "apostrophes around": written(quote="'"), "a blank before each quote": written(", ", '"'),
    "sep= of Excel": "sep=;\n" + written(";"), "the same with a mark": "\ufeffsep=;\r\n" + written(";", end="\r\n"),
    "sep=tab in UTF-16": ("sep=\t\r\n" + written("\t", end="\r\n")).encode("utf-16"),
    "remarks before": "# exported, by a tool\n#\n" + written(), "a title before": "Our reviews\n\n" + written(),
    "each line ends in a comma": "".join(line + ",\n" for line in written().splitlines()),
    "only rows end in a comma": written().replace("text\n", "text\r\n").replace("d\n", "d,\n").replace("e\n", "e,\n"),
    "names of rows, as R": "\n".join(
        [",".join(NAMES), *(f'"{n}",{line}' for n, line in enumerate(written().splitlines()[1:], 1))]
    ),
    "a line feed within a cell of a Mac": written(end="\r", texts=['"the first word"', *TEXTS[1:]]),
    "objects on one line": "".join(LINES), "with blanks between": " ".join(LINES),
    "a comma after each": ",\n".join(LINES) + ",",
    "an array without its brackets": ",\n".join(LINES), "MongoDB's types": "\n".join(
        json.dumps({**row, "_id": {"$oid": "5"}, "timestamp": {"$numberLong": str(row["timestamp"])},
                    "stars": {"$numberDouble": str(row["stars"])}}) for row in RECORDS
    ),
    "MongoDB's dates": "\n".join(
        json.dumps({**row, "timestamp": {"$date": f"2014-05-13T16:53:2{n}Z"}}) for n, row in enumerate(RECORDS)
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", SAME)
def test_the_rows_are_the_same_however_they_are_written(what: str, tmp_path: Path) -> None:
    content = SAME[what]
    artifact = ingested(tmp_path / "r.txt", content if isinstance(content, bytes) else content.encode())
    assert rows_of(artifact) == as_read(ROWS)
    assert artifact.manifest.counts["rows_in"] == 3


@pytest.mark.parametrize(
    ("encoding", "words"),
    [
        ("utf-16", GERMAN), ("utf-16-le", GERMAN), ("utf-16-be", GERMAN), ("utf-32", GERMAN), ("utf-8-sig", GERMAN),
        ("latin-1", GERMAN), ("cp1254", ["çok şık", "ısıtıcı geldi", "memnunum, iyi"]),
        ("cp1251", ["очень хороший чайник", "работает тихо", "доставили быстро"]),
        ("koi8-r", ["очень хороший чайник", "работает тихо и греет", "доставили быстро, упаковка целая"]),
        ("cp1253", ["πολύ καλός βραστήρας", "είμαι ευχαριστημένος", "ήρθε γρήγορα"]),
        ("cp1255", ["קומקום טוב מאוד, אני מרוצה", "הגיע מהר מאוד ועובד", "אני מרוצה מהקנייה הזאת"]),
        ("gb18030", ["非常好的水壶", "送货很快", "工作安静"]), ("big5", ["非常好的水壺", "送貨很快", "工作安靜"]),
        ("cp932", ["とても良いケトルです", "早く届きました", "静かに動作します"]),
        ("euc_jp", ["とても良いケトルです", "早く届きました", "静かに動作します"]),
        ("iso2022_jp", ["とても良いケトルです", "早く届きました", "静かに動作します"]),
        ("cp949", ["정말 좋은 주전자입니다", "빨리 도착했고 조용합니다", "만족합니다"]),
    ],
)  # fmt: skip
@pytest.mark.parametrize("kind", ["delimited", "json"])
def test_words_come_out_of_every_encoding_as_they_went_in(
    encoding: str, words: list[str], kind: str, tmp_path: Path
) -> None:
    lines = [json.dumps({**row, "text": word}, ensure_ascii=False) for row, word in zip(RECORDS, words, strict=True)]
    text = "\n".join(lines) if kind == "json" else written("\t", texts=words)
    artifact = ingested(tmp_path / "r.txt", text.encode(encoding))
    assert [row[-1] for row in rows_of(artifact)] == words


PACKED: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress,
    "zstd": lambda data: pa.compress(data, "zstd", asbytes=True), "zip": lambda data: zipped({"r.json": data}),
}  # fmt: skip


def zipped(members: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return out.getvalue()


def parquet(**columns: Any) -> bytes:
    out = io.BytesIO()
    pq.write_table(pa.table(columns), out)
    return out.getvalue()


WORDS = b"".join(
    json.dumps({**RECORDS[0], "item_id": f"i{n}", "text": f"{n * 2**64 // 3:x}"}).encode() + b"\n" for n in range(9_000)
)


@pytest.mark.parametrize("packing", ["gzip", "xz", "zstd"])
def test_rows_before_a_cut_are_kept(packing: str, tmp_path: Path) -> None:
    packed = PACKED[packing](WORDS)
    artifact = ingested(tmp_path / "r.json", packed[: len(packed) * 2 // 3])
    assert artifact.manifest.counts["rows_out"] > 2_000
    assert artifact.manifest.info["reasons"] == {"truncated_file": 1}


SOUND = "\n".join(LINES).encode()
REFUSED: dict[str, tuple[bytes, str]] = {
    "empty": (b"", r"no row in .*r\.bin \(0 bytes\): empty"),
    "a mark alone": (b"\xef\xbb\xbf", r"no row in .*r\.bin"),
    "a header alone": (b"user_id,item_id,timestamp\n", r"no row in .*a header alone"),
    "packed twice": (gzip.compress(gzip.compress(SOUND)), r"r\.bin: packed twice, as gzip within gzip; unpack it once"),
    "gzip in zip": (zipped({"r.gz": gzip.compress(SOUND)}), r"r\.bin: packed twice, as gzip within zip"),
    "two in zip": (zipped({"a": SOUND, "b": SOUND}), r"r\.bin: a zip archive with 2 files \(a, b\)"),
    "a workbook": (zipped({"[Content_Types].xml": b"<a/>", "xl/workbook.xml": b"<a/>"}), r"r\.bin: an Excel .* as CSV"),
    "Parquet in zip": (zipped({"r.parquet": parquet(user_id=["u"])}), r"r\.bin: Parquet packed as zip.*unpack it"),
    "7z": (b"7z\xbc\xaf\x27\x1c\0\4" + b"\1\2\3" * 50, r"r\.bin: .*a 7z archive; unpack it"),
    "SQLite": (b"SQLite format 3\0\x10\0" * 40, r"r\.bin: .*SQLite.*export its tables as CSV"),
    "a pickle": (b"\x80\x04\x95\x10\0\0\0\0\0\0\0]\x94.", r"r\.bin: .*pickle, which could run code"),
    "Avro": (b"Obj\x01\x04\x14avro.codec\x08null", r"r\.bin: .*Avro; write it as Parquet"),
    "SQL": (b"INSERT INTO `reviews` VALUES (1,'a');\n", r"r\.bin: begins with .*statements of SQL"),
    "a photograph": (b"\xff\xd8\xff\xe0" + bytes(range(256)) * 9, r"r\.bin: cannot tell the format"),
    "rows within an object": (json.dumps({"n": 3, "reviews": RECORDS}).encode(), r"3 elements of 'reviews': .*each: "),
    "columns": (json.dumps({name: [row[name] for row in RECORDS] for name in NAMES}).encode(), r"holds whole columns"),
    "pandas": (json.dumps({"user_id": {"0": "a", "1": "b"}, "item_id": {"0": "a", "1": "b"},
                           "timestamp": {"0": 1, "1": 2}}).encode(), r'orient="records", lines=True'),
    "an undecodable header": (b"user_\xff,item_id\n", r"r\.bin: the header, the first line, cannot be read"),
    "days of Excel": (b"user_id,item_id,timestamp\nu,i,41772.5\n", r"set review_format\.dates: excel"),
}  # fmt: skip


@pytest.mark.parametrize("what", REFUSED)
def test_what_holds_no_rows_is_refused_by_name_with_the_remedy(what: str, tmp_path: Path) -> None:
    content, said = REFUSED[what]
    with pytest.raises(ValueError, match=said):
        ingested(tmp_path / "r.bin", content)


def test_nul_bytes_in_texts_cost_neither_file_nor_row(tmp_path: Path) -> None:
    artifact = ingested(tmp_path / "r.csv", written(texts=["a\0b", "c\0", "\0d"]).encode())
    assert [row[-1] for row in rows_of(artifact)] == ["ab", "c", "d"]
    assert artifact.manifest.info["repairs"] == {"text_nul": 3}


def test_names_that_come_twice_are_said(tmp_path: Path) -> None:
    artifact = ingested(
        tmp_path / "r.csv", written(header=("user_id", "item_id", "timestamp", "stars", "stars")).encode()
    )
    (form,) = artifact.manifest.info["formats"].values()
    assert form["found"] == ["column names that come again: stars; the first of each is read"]
    table = pa.table([["u"], ["i"], [SECONDS], ["other"]], names=["user_id", "item_id", "timestamp", "user_id"])
    pq.write_table(table, tmp_path / "r.parquet")
    with pytest.raises(ValueError, match=r"r\.parquet: the column user_id comes more than once"):
        ingested(tmp_path / "r.parquet", (tmp_path / "r.parquet").read_bytes())


def test_lines_before_the_header_can_be_set(tmp_path: Path) -> None:
    content = "Report, of June, all\n" + written()
    artifact = ingested(tmp_path / "r.csv", content.encode(), review_format={"skip_lines": 1})
    assert rows_of(artifact) == as_read(ROWS)


def test_dates_that_cannot_be_a_format_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"found '%Q', expected one of day_first, .*, year_first, excel, or a"):
        ingested(tmp_path / "r.csv", written().encode(), review_format={"dates": "%Q"})


TABLE = st.lists(
    st.tuples(*[st.text(st.characters(codec="utf-8", categories=["L", "N", "P", "S", "Zs"]), max_size=9)] * 2),
    min_size=1, max_size=6,
)  # fmt: skip


@FUZZ
@given(TABLE, st.sampled_from([";", ",", "\t", "|"]), st.sampled_from(["\n", "\r\n", "\r"]),
       st.sampled_from(["", "Our reviews\n", "# made by us\n\n"]), st.booleans())  # fmt: skip
def test_what_a_writer_of_csv_wrote_is_read_back(
    tmp_path: Path, texts: list[tuple[str, str]], separator: str, end: str, before: str, excel: bool
) -> None:
    def quoted(value: object) -> str:
        return '"' + str(value).replace('"', '""') + '"'

    rows = [(f"u{n}", f"i{n:03}", SECONDS + n, 4, f"x{a}\n{b}x") for n, (a, b) in enumerate(texts)]
    lines = [separator.join(map(quoted, row)) for row in [NAMES, *rows]]
    first = f"sep={separator}{end}" if excel else before.replace("\n", end)
    artifact = ingested(tmp_path / "r.csv", (first + end.join([*lines, ""])).encode(), normalise_text=False)
    counts = artifact.manifest.counts
    assert (counts["rows_in"], counts["quarantined"]) == (len(rows), 0)
    assert [row[:3] for row in rows_of(artifact)] == [row[:3] for row in as_read(rows)]


STARTS = (b"", b"user_id,item_id,timestamp\n", b"{", b"PAR1", b"\x1f\x8b", b"PK\x03\x04", b"(\xb5/\xfd", b"BZh9",
          b"\xfd7zXZ\x00", b"\xff\xfe")  # fmt: skip


@FUZZ
@given(st.binary(max_size=400), st.sampled_from(STARTS))
def test_any_bytes_are_rows_or_a_clear_refusal(tmp_path: Path, data: bytes, start: bytes) -> None:
    try:
        artifact = ingested(tmp_path / "r.bin", start + data)
    except ValueError as error:
        assert "corpus: " in str(error)
    else:
        counts = artifact.manifest.counts
        assert counts["rows_in"] == counts["rows_out"] + counts["quarantined"]


@pytest.mark.parametrize("first", ["text", "user_id"])
def test_line_ends_in_the_first_field_cut_no_row(tmp_path: Path, first: str) -> None:
    """The last line of such a field looks like a row by itself."""
    rows = [
        (f"u{n}\n{n}" if first == "user_id" and n % 3 == 0 else f"u{n}", f"i{n:02}", SECONDS + n, n % 5 + 1,
         f"one\nand two {n}" if n % 3 == 0 else f"plain {n}")
        for n in range(60)
    ]  # fmt: skip
    names = ["text", *NAMES[:4]] if first == "text" else list(NAMES)
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(names)
    writer.writerows((row[4], *row[:4]) if first == "text" else row for row in rows)
    made = ingested(tmp_path / "reviews.csv", out.getvalue().encode())
    if first == "text":
        assert rows_of(made) == as_read(rows)
    else:  # an id with a line end is none, and nobody else is made of its second half
        counts = made.manifest.counts
        assert (counts["rows_in"], counts["rows_out"], counts["quarantined"]) == (60, 40, 20)
        assert set(made.table("reviews")["user_id"].to_pylist()) == {f"u{n}" for n in range(60) if n % 3}


@pytest.mark.parametrize(
    ("days", "found"),
    [
        ([f"17-07-{n:02}" for n in range(1, 31)], "2017-07-01"),
        ([f"{n:02}/07/17" for n in range(1, 31)], "2017-07-01"),
        ([f"{n:02}.07.17" for n in (1, 14, 15)], "2017-07-01"),
        ([f"99-07-{n:02}" for n in (1, 14, 15)], "1999-07-01"),
        ([f"17-07-{n:02}" for n in (1, 14)] + ["18-07-15"], None),
    ],
)
def test_years_of_two_digits_first_or_last(tmp_path: Path, days: list[str], found: str | None) -> None:
    rows = [f"u{n},i{n:02},{day},{n % 5 + 1},words {n}" for n, day in enumerate(days)]
    content = "\n".join([",".join(NAMES), *rows]).encode()
    if found is None:
        with pytest.raises(ValueError, match=r"3 timestamp_ambiguous.*day_first, month_first or year_first"):
            ingested(tmp_path / "reviews.csv", content)
        made = ingested(tmp_path / "again.csv", content, review_format={"dates": "year_first"})
        found = "2017-07-01"
    else:
        made = ingested(tmp_path / "reviews.csv", content)
    first = min(made.table("reviews")["timestamp"].to_pylist())
    assert dt.datetime.fromtimestamp(first / 1000, dt.UTC).date().isoformat() == found


def test_one_item_is_refused_before_anything_is_encoded(tmp_path: Path) -> None:
    rows = [f"u{n},only,{SECONDS + n},5,words" for n in range(30)]
    made = ingested(tmp_path / "reviews.csv", "\n".join([",".join(NAMES), *rows]).encode())
    with pytest.raises(ValueError, match="all events are of one item"):
        corpus.vouch(RunConfig(), made)


def test_files_without_a_source_are_no_sample() -> None:
    with pytest.raises(ValidationError, match="reviews: source 'sample', the default, reads no files; name the source"):
        RunConfig.model_validate({"corpus": {"reviews": ["/data/reviews.csv"]}})
