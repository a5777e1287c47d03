"""How delimited text is written: the separator, whether quotes mean anything, the header, and what values look like."""

import re
from collections.abc import Sequence
from dataclasses import replace

from llmrec.corpus.readers.delimited import DelimitedRows, shape
from llmrec.corpus.readers.form import Format
from llmrec.corpus.readers.lines import Line
from llmrec.corpus.values.errors import RowError

SEPARATORS = ("\t", ",", ";", "|", "::", "\x01")
TYPES = ("token", "token_seq", "float", "float_seq")  # RecBole's
_LINES = 500
_DATA = re.compile(r"[-+]?\d+(?:[.,]\d+)?|\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}.*|N\d+-[01](?: N\d+-[01])*")
_MAX_SHAPES = 3


def dialect(
    lines: Sequence[str], form: Format, separator: str | None, quoted: bool | None, escape: str | None
) -> Format:
    """`form` with separator, quoting and escape: those given, else what makes most `lines` rows of one width."""
    sample = [line for line in lines if line.strip()][:_LINES]
    separators = [separator] if separator else [s for s in SEPARATORS if sample and s in sample[0]] or [","]
    separators = [s for s in separators if s != "|" or len(separators) == 1 or _steady(sample, s)]
    tried = []
    for mark in separators:
        for quotes, slash in _quotings(sample, mark, quoted, escape):
            trial = replace(form, delimiter=mark, quoted=quotes, escape=slash)
            tried.append((_score(sample, trial), trial))
    return max(tried, key=lambda pair: pair[0])[1]


def _steady(sample: Sequence[str], mark: str) -> bool:
    return len({line.count(mark) for line in sample[:20]}) == 1


def _quotings(
    sample: Sequence[str], mark: str, quoted: bool | None, escape: str | None
) -> list[tuple[bool, str | None]]:
    slash = "\\" if escape == "backslash" else None
    if len(mark) > 1 or quoted is False:
        return [(False, None)]
    found: list[tuple[bool, str | None]] = [(True, slash)]
    if escape is None and any('\\"' in line for line in sample):
        found.append((True, "\\"))
    return found if quoted else [*found, (False, None)]


def _score(sample: Sequence[str], form: Format) -> tuple[float, float, int]:
    """(share of lines in rows as wide as the first, that of rows that needed no mending, their width)."""
    read, lines, mended = _read(sample, form)
    width = len(read[0]) if read else 0
    if width < 2:
        return 0.0, 0.0, width
    return lines / len(sample), -mended / len(sample), width


def _read(sample: Sequence[str], form: Format) -> tuple[list[list[str]], int, int]:
    """(the rows that could be read, how many lines they take, how many of them keep quotes around or in them)."""
    source = iter([Line(n, text.encode("utf-8", "surrogatepass")) for n, text in enumerate(sample, 1)])
    rows = DelimitedRows(replace(form, encoding="utf-8"), source, 1 << 20, form.header)
    found, good, mended = [], 0, 0
    while line := rows.next_line():
        try:
            fields = rows.fields(line)
        except (RowError, UnicodeDecodeError):
            continue
        rows.header = rows.header or tuple(fields)
        found.append(fields)
        good += 1 + "".join(fields).count("\n")
        mended += any(f.count('"') % 2 or (len(f) > 1 and f[0] == f[-1] == '"') or '\\"' in f for f in fields)
    return found, good, mended


def with_header(lines: Sequence[str], form: Format, expected: set[str], given: bool | None) -> Format:
    """`form` with what its first line is: names, or a row as any other. Raises ValueError where no name is known."""
    read, _, _ = _read([line for line in lines if line.strip()][:_LINES], form)
    if not read:
        return form
    first = read[0]
    rows = read if form.header else read[1:]
    form = replace(form, shapes=_shapes(rows))
    if form.header:
        return form
    typed = all(name.rpartition(":")[2] in TYPES for name in first)
    looks_like_data = any(_DATA.fullmatch(cell.strip()) for cell in first) and given is not True
    if looks_like_data and not expected <= set(first):
        raise ValueError(
            f"the first line looks like data, so that the {len(first)} columns have no names; give them in the files' "
            f"order: header: [{', '.join(f'NAME{n}' for n in range(1, len(first) + 1))}]"
        )
    separator = form.list_separator or (" " if typed else None)
    return replace(form, typed_header=typed, first_is_row=looks_like_data, list_separator=separator)


def _shapes(rows: Sequence[Sequence[str]]) -> tuple[tuple[int, frozenset[str]], ...]:
    found = []
    for n, column in enumerate(zip(*rows, strict=False)):
        seen = {shape(value) for value in column}
        if len(seen) <= _MAX_SHAPES and all("0" in one and len(one) <= 30 for one in seen):
            found.append((n, frozenset(seen)))
    return tuple(found)
