"""Delimited text: one row a line, or several lines where a quote holds line ends, each row by itself."""

import csv
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from llmrec.corpus.readers.form import Format
from llmrec.corpus.readers.lines import Line
from llmrec.corpus.values.errors import RowError

MAX_LINES_A_ROW = 1_000  # a quoted field with more line ends in it is taken for a quote that nobody closed
csv.field_size_limit(sys.maxsize)  # a row's length is bounded by max_row_bytes
_DIGITS, _LETTERS = re.compile(r"\d+"), re.compile(r"[^\W\d_]+")


def decoded(line: Line, form: Format) -> str:
    """The text of a line. Raises RowError where it is too long, or not in the file's encoding."""
    if line.too_long:
        raise RowError("row_too_long", f"expected at most {len(line.data)} bytes (corpus.max_row_bytes)")
    encoding = "utf-8" if form.wide else form.encoding
    try:
        text = line.data.decode(encoding)
        if form.wide and "\ufffd" in text:
            raise RowError("invalid_encoding", f"found bytes that are not {form.encoding}")
    except (UnicodeDecodeError, LookupError) as error:
        text = _fallen_back(line.data, form, error)
    return text.removeprefix("\ufeff")


def _fallen_back(data: bytes, form: Format, error: Exception) -> str:
    if form.fallback:
        return data.decode(form.fallback, "replace")
    reason = "invalid_utf8" if form.encoding == "utf-8" else "invalid_encoding"
    hint = f"; expected {form.encoding}, or name another in review_format.encoding (cp1252 in Western Europe)"
    raise RowError(reason, f"{error}{hint}") from None


@dataclass
class DelimitedRows:
    """Reads the lines of one file; `header` is known after the first row."""

    form: Format
    lines: Iterator[Line]
    max_bytes: int
    header: tuple[str, ...] | None = None
    waiting: list[Line] = field(default_factory=list)

    def next_line(self) -> Line | None:
        """The next line that no row has taken."""
        return self.waiting.pop(0) if self.waiting else next(self.lines, None)

    def fields(self, line: Line) -> list[str]:
        """The fields of the row that begins at `line`. Raises RowError for that line alone."""
        text = decoded(line, self.form)
        if not self.form.quoted or self.form.quote not in text:
            return self._counted(split(text, self.form.delimiter))
        try:
            found = self._quoted(text)
        except csv.Error as error:
            found = self._plain(text, f"{error}")
        return found

    def _quoted(self, text: str) -> list[str]:
        used = 0
        while True:
            try:
                found = self._counted(split_quoted(text, self.form))
                del self.waiting[:used]
                return found
            except csv.Error as error:
                following = self._following(used) if "unexpected end" in str(error) else None
                if following is None or len(text) > self.max_bytes:
                    raise
            text, used = text + "\n" + following, used + 1

    def _following(self, used: int) -> str | None:
        """The next lines up to one with a quote, for a row whose quote is open; None: a row by itself follows."""
        if used >= MAX_LINES_A_ROW:
            return None
        if used == len(self.waiting):
            line = next(self.lines, None)
            if line is None:
                return None
            self.waiting.append(line)
        try:
            text = decoded(self.waiting[used], self.form)
        except RowError:
            return None
        return None if self._is_row(text) else text

    def _is_row(self, text: str) -> bool:
        """Whether a line, taken alone, looks like the file's rows: their number of fields, and their shapes."""
        found = split(text, self.form.delimiter)
        if self.header is None or len(found) != len(self.header):
            return False
        shaped = self.form.shapes
        if self.form.quote and text.count(self.form.quote) % 2:
            # it closes the open quote; what stands behind that belongs to the open row, if nothing before it speaks
            closing = next(n for n, value in enumerate(found) if self.form.quote in value)
            shaped = tuple((n, seen) for n, seen in shaped if n < closing)
            return bool(shaped) and all(shape(found[n]) in seen for n, seen in shaped)
        return all(shape(found[n]) in seen for n, seen in shaped) if shaped else len(found) > 3

    def _plain(self, text: str, why: str) -> list[str]:
        """A row whose quotes are words' alone: the fields as they stand, where their number is right."""
        found = split(text, self.form.delimiter)
        if self.header is not None and len(found) != len(self.header):
            raise RowError("malformed_csv", f"a quotation mark that nobody closed, or one inside a field ({why})"[:200])
        return found

    def _counted(self, fields: list[str]) -> list[str]:
        if self.header is not None and len(fields) != len(self.header):
            raise RowError("wrong_field_count", f"found {len(fields)} fields, expected {len(self.header)}")
        return fields


def split(text: str, mark: str) -> list[str]:
    """The fields between marks; a mark of blanks stands for as many of them or more."""
    return text.split(mark) if mark.strip(" ") else re.split(f" {{{len(mark)},}}", text.strip(" "))


def split_quoted(text: str, form: Format) -> list[str]:
    """The fields of a whole row. Raises csv.Error where a quote is open or stands inside a field."""
    if len(form.delimiter) > 1:
        return split(text, form.delimiter)
    try:
        rows = list(
            csv.reader(
                [text], delimiter=form.delimiter, quotechar=form.quote, strict=True, escapechar=form.escape,
                skipinitialspace=form.skip_space,
            )
        )  # fmt: skip
    except ValueError as error:
        raise csv.Error(f"{error}") from None
    return rows[0] if rows else []


def shape(value: str) -> str:
    """What a value looks like: digits as 0, letters as a ("2014-01-11" is "0-0-0")."""
    return _LETTERS.sub("a", _DIGITS.sub("0", value.strip().strip('"')))


def named_once(header: Sequence[str], typed: bool) -> tuple[str, ...]:
    """The names of a header line; one that comes again is numbered. RecBole's types are cut off."""
    names: list[str] = []
    for n, name in enumerate(header):
        cut = name.rpartition(":")[0] if typed else name
        cut = cut.strip() or f"column {n + 1}"
        names.append(cut if cut not in names else f"{cut} ({n + 1})")
    return tuple(names)
