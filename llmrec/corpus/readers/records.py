"""Files become records: dictionaries of field names and raw values, each with its line, or a reason why not."""

import codecs
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from llmrec.corpus.readers.delimited import DelimitedRows, decoded, named_once
from llmrec.corpus.readers.files import InputFile
from llmrec.corpus.readers.form import Format
from llmrec.corpus.readers.json_rows import parse_object
from llmrec.corpus.readers.json_values import values
from llmrec.corpus.readers.lines import Line, read_lines
from llmrec.corpus.readers.packing import CutOffError, unpacked
from llmrec.corpus.readers.parquet import parquet_rows
from llmrec.corpus.values.errors import RowError, show

MAX_RAW = 2_000


@dataclass(frozen=True, slots=True)
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
            shown = ", ".join(f"{name!r}: {show(value)}" for name, value in self.fields.items())
            return f"{{{shown}}}"[:MAX_RAW].encode("utf-8", "backslashreplace").decode()
        return self.raw[: 4 * MAX_RAW].decode("utf-8", "backslashreplace")[:MAX_RAW]


@dataclass
class RecordReader:
    """Iterates over every row of a file (or of its bytes [start, end), for lines of JSON), good or bad.

    Blank lines are no rows. A damaged file gives its rows up to the damage, then one with the error `truncated_file`.
    `wanted`: the outermost names that will be asked for; None: all.
    """

    file: InputFile
    form: Format
    start: int
    end: int | None
    max_bytes: int
    wanted: set[str] | None = None
    n_lines: int = 0  # lines read so far, blank ones too

    def __iter__(self) -> Iterator[Record]:
        if self.form.kind == "parquet":
            yield from self._parquet()
            return
        breaks: list[CutOffError] = []
        yield from self._by_value(breaks) if self.form.kind == "json_values" else self._by_line(breaks)
        for error in breaks:
            bad = RowError("truncated_file", f"{error}; the rows before are kept")
            yield Record(error.line or self.n_lines + 1, error.partial, error=bad)

    def _by_line(self, breaks: list[CutOffError]) -> Iterator[Record]:
        lines = self._lines(breaks)
        yield from _json(lines, self.form) if self.form.kind == "json" else self._delimited(lines)

    def _delimited(self, lines: Iterator[Line]) -> Iterator[Record]:
        rows = DelimitedRows(self.form, lines, self.max_bytes, self.form.header)
        while line := rows.next_line():
            if line.number <= self.form.skip:
                continue
            try:
                fields = rows.fields(line)
            except RowError as error:
                if rows.header is None:
                    self._refuse_header(error)
                yield Record(line.number, line.data, error=error)
                continue
            is_row = rows.header is not None
            if rows.header is None:
                rows.header, is_row = named_once(fields, self.form.typed_header), self.form.first_is_row
            if is_row:
                yield Record(line.number, line.data, _named(rows.header, fields))

    def _refuse_header(self, error: RowError) -> None:
        raise ValueError(
            f"corpus: {self.file.path}: the header, the first line, cannot be read ({error.detail}); without it no "
            "column has a name; set review_format.encoding (or item_format.encoding), or header to the list of names"
        )

    def _lines(self, breaks: list[CutOffError]) -> Iterator[Line]:
        try:
            for line in read_lines(self.file, self.start, self.end, self.max_bytes, self.form):
                self.n_lines = line.number
                if line.data and (line.data[0] > 32 or not line.data.isspace()) and line.data != codecs.BOM_UTF8:
                    yield line
        except CutOffError as error:
            breaks.append(error)

    def _by_value(self, breaks: list[CutOffError]) -> Iterator[Record]:
        with self.file.open() as stream:
            chunks = _characters(unpacked(stream, self.form.packing), self.form, breaks)
            for line, text, cut in values(chunks, self.max_bytes):
                self.n_lines = line
                raw = text[:MAX_RAW].encode("utf-8", "replace")
                try:
                    if cut:
                        raise RowError(
                            "row_too_long", f"expected at most {self.max_bytes} bytes (corpus.max_row_bytes)"
                        )
                    yield Record(line, raw, fields=parse_object(text))
                except RowError as error:
                    yield Record(line, raw, error=error)

    def _parquet(self) -> Iterator[Record]:
        for line, found in enumerate(parquet_rows(self.file, self.wanted), 1):
            yield Record(line, b"", error=found) if isinstance(found, RowError) else Record(line, b"", found)


def _characters(chunks: Iterator[bytes], form: Format, breaks: list[CutOffError]) -> Iterator[str]:
    decoder = codecs.getincrementaldecoder(form.encoding)(errors="replace")
    try:
        for chunk in chunks:
            yield decoder.decode(chunk)
    except CutOffError as error:
        breaks.append(error)
    yield decoder.decode(b"", True)


def _json(lines: Iterator[Line], form: Format) -> Iterator[Record]:
    for line in lines:
        try:
            yield Record(line.number, line.data, parse_object(decoded(line, form)))
        except RowError as error:
            yield Record(line.number, line.data, error=error)


def _named(header: tuple[str, ...], fields: list[str]) -> dict[str, Any]:
    named: dict[str, Any] = dict(zip(header, fields, strict=True))
    if header[-1].startswith("genre:"):  # MovieLens 100k has a column of 0 and 1 for each
        named["genres"] = [name[6:] for name in header if name.startswith("genre:") and named[name] == "1"]
    return named
