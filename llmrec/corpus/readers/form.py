"""How a file's bytes become rows: the settings, those found, and the words that say so."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Format:
    """How a file is read. `found` names what was not set but seen in its first bytes and lines."""

    kind: str  # json | json_values | delimited | parquet
    packing: str | None = None
    encoding: str = "utf-8"
    fallback: str | None = None  # of lines that are not in `encoding`
    line_end: bytes = b"\n"
    delimiter: str = ","
    quoted: bool = False
    escape: str | None = None
    quote: str = '"'
    skip_space: bool = False  # blanks after a separator stand before a quote
    skip: int = 0  # lines before the header, or before the first row
    header: tuple[str, ...] | None = None  # None: the first line
    first_is_row: bool = False  # the columns are called by the first line, which is a row all the same
    shapes: tuple[tuple[int, frozenset[str]], ...] = ()  # columns whose values look alike, and how
    decimal: str | None = None
    dates: str | None = None  # a strptime format, or day_first | month_first
    typed_header: bool = False  # RecBole's name:type
    list_separator: str | None = None
    found: tuple[str, ...] = ()

    @property
    def wide(self) -> bool:
        """Whether a character takes two bytes or four, so that lines are no ranges of bytes."""
        return self.encoding.startswith(("utf-16", "utf-32"))

    @property
    def splittable(self) -> bool:
        """Whether ranges of the file's bytes can be read by different tasks."""
        return self.kind == "json" and self.packing is None and not self.wide and self.line_end == b"\n"

    def describe(self) -> dict[str, object]:
        """What `--check` reports of a file."""
        shown: dict[str, object] = {"kind": self.kind, "packing": self.packing, "encoding": self.encoding}
        if self.kind == "delimited":
            shown |= {"separator": self.delimiter, "quoted": self.quoted, "escape": self.escape}
            shown |= {"quote": self.quote if self.quote != '"' else None, "skip_lines": self.skip or None}
            shown |= {"header": list(self.header) if self.header else "first line"}
        shown |= {"decimal": self.decimal, "dates": self.dates, "found": list(self.found)}
        return {name: value for name, value in shown.items() if value is not None}
