"""Files become records: dictionaries of field names and raw values, each with its line, or a reason why not."""

import ast
import csv
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from llmrec.corpus.formats.names import Format
from llmrec.corpus.readers.files import CutOffError, InputFile, Line, read_lines
from llmrec.corpus.values import RowError

MAX_RAW = 2_000
MAX_LINES_A_ROW = 1_000  # a quoted field with more line ends in it is taken for a quote that nobody closed
_PARQUET_BATCH = 4_096


@dataclass(frozen=True)
class Record:
    """One row as it stands in its file: `fields`, or the `error` that kept it from being read."""

    line: int
    raw: bytes
    fields: dict[str, Any] | None = None
    error: RowError | None = None

    @property
    def shown(self) -> str:
        """The row's beginning for the quarantine table, readable whatever its bytes are."""
        if not self.raw and self.fields is not None:
            return str(self.fields)[:MAX_RAW].encode("utf-8", "backslashreplace").decode()
        return self.raw[: 4 * MAX_RAW].decode("utf-8", "backslashreplace")[:MAX_RAW]


@dataclass
class RecordReader:
    """Iterates over every row of a file (or of its bytes [start, end), for lines of JSON), good or bad.

    Blank lines are no rows. A damaged file gives its rows up to the damage, then one with the error `truncated_file`.
    """

    file: InputFile
    form: Format
    start: int
    end: int | None
    max_bytes: int
    n_lines: int = 0  # lines read so far, blank ones too

    def __iter__(self) -> Iterator[Record]:
        if self.form.kind == "parquet":
            yield from _parquet(self.file)
            return
        breaks: list[CutOffError] = []
        lines = self._lines(breaks)
        yield from _json(lines) if self.form.kind == "json" else _delimited(lines, self.form, self.max_bytes)
        for error in breaks:
            bad = RowError("truncated_file", f"{error}; the rows before are kept")
            yield Record(error.line or 1, error.partial, error=bad)

    def _lines(self, breaks: list[CutOffError]) -> Iterator[Line]:
        try:
            for line in read_lines(self.file, self.start, self.end, self.max_bytes):
                self.n_lines = line.number
                if line.data.strip():
                    yield line
        except CutOffError as error:
            breaks.append(error)


def _json(lines: Iterator[Line]) -> Iterator[Record]:
    for line in lines:
        try:
            yield Record(line.number, line.data, fields=_object(_decoded(line, "utf-8-sig")))
        except RowError as error:
            yield Record(line.number, line.data, error=error)


def _object(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        value = _python_literal(text)  # Amazon's 2014 metadata are Python dictionaries
        if value is None:
            raise RowError("malformed_json", f"{error}"[:200]) from None
    if not isinstance(value, dict):
        raise RowError("not_an_object", f"found a JSON {type(value).__name__}, expected an object of fields")
    return value


def _python_literal(text: str) -> Any:
    if not text.startswith("{'"):
        return None
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return None


def _delimited(lines: Iterator[Line], form: Format, max_bytes: int) -> Iterator[Record]:
    header, waiting = form.header, list[Line]()
    while line := waiting.pop(0) if waiting else next(lines, None):
        try:
            fields, used = _row(line, waiting, lines, form, header, max_bytes)
        except RowError as error:
            yield Record(line.number, line.data, error=error)
            continue
        del waiting[:used]
        if header is None:
            header = tuple(name.partition(":")[0].strip() for name in fields)  # RecBole writes user_id:token
        else:
            yield Record(line.number, line.data, fields=_named(header, fields, form.list_separator))


def _row(
    line: Line, waiting: list[Line], lines: Iterator[Line], form: Format, header: tuple[str, ...] | None, max_bytes: int
) -> tuple[list[str], int]:
    """(fields, how many of the `waiting` lines belong to this row); fills `waiting` while a quote is open.

    A row that does not come out gives up its first line alone, so that one open quote does not eat the rows after it.
    """
    text, used = _decoded(line, form.encoding if form.encoding != "utf-8" else "utf-8-sig"), 0
    if not form.quoted:
        return _counted(text.split(form.delimiter), header), 0
    while text.count('"') % 2 and used < MAX_LINES_A_ROW and len(text) < max_bytes:
        if used == len(waiting):
            following = next(lines, None)
            if following is None:
                break
            waiting.append(following)
        text += "\n" + _decoded(waiting[used], form.encoding)
        used += 1
    try:
        (fields,) = csv.reader([text], delimiter=form.delimiter, strict=True)
    except (csv.Error, ValueError) as error:
        raise RowError("malformed_csv", f"{error}"[:200]) from None
    return _counted(fields, header), used


def _counted(fields: list[str], header: tuple[str, ...] | None) -> list[str]:
    if header is not None and len(fields) != len(header):
        raise RowError("wrong_field_count", f"found {len(fields)} fields, expected {len(header)}")
    return fields


def _named(header: tuple[str, ...], fields: list[str], separator: str) -> dict[str, Any]:
    named: dict[str, Any] = dict(zip(header, fields, strict=True))
    flags = [name for name in header if name.startswith("genre:")]
    if flags:
        named["genres"] = [name.removeprefix("genre:") for name in flags if named[name] == "1"]
    for name in ("genres", "genre", "class", "categories"):
        if isinstance(named.get(name), str):
            named[name] = [part.strip() for part in named[name].split(separator) if part.strip()]
    return named


def _parquet(file: InputFile) -> Iterator[Record]:
    line = 0
    try:
        source = pq.ParquetFile(file.path, filesystem=file.filesystem())
    except (pa.ArrowInvalid, OSError) as error:
        raise ValueError(f"corpus: {file.path}: not a whole Parquet file ({error}); fetch or write it again") from None
    try:
        for batch in source.iter_batches(_PARQUET_BATCH):
            for fields in batch.to_pylist():
                line += 1
                yield Record(line, b"", fields=fields)
    except (pa.ArrowInvalid, OSError) as error:
        bad = RowError("truncated_file", f"the Parquet file is damaged: {error}; the rows before are kept")
        yield Record(line + 1, b"", error=bad)


def _decoded(line: Line, encoding: str) -> str:
    if line.too_long:
        raise RowError("row_too_long", f"expected at most {len(line.data)} bytes (corpus.max_row_bytes)")
    try:
        return line.data.decode(encoding)
    except UnicodeDecodeError as error:
        raise RowError("invalid_utf8", f"{error}") from None
