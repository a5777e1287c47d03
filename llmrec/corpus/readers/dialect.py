"""How delimited text is written: the separator, whether quotes mean anything, the header, and what values look like."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from llmrec.corpus.readers.delimited import DelimitedRows, named_once, shape, split
from llmrec.corpus.readers.form import Format
from llmrec.corpus.readers.lines import Line
from llmrec.corpus.values.errors import RowError

SEPARATORS = ("\t", ",", ";", "|", "::", "\x01")
TYPES = ("token", "token_seq", "float", "float_seq")  # RecBole's
#: Looked for where there is none of these.
_RARE = ("^", "~", "#", "¦", "\x02", "\x1e", "\x1f", "  ", " ")
_SAID = re.compile(r'"?sep=(.)"?[;,\s]*', re.IGNORECASE)  # Excel's own line
_MOST_BEFORE = 20  # lines before a header
_LINES = 500
_DATA = re.compile(r"[-+]?\d+(?:[.,]\d+)?|\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}.*|N\d+-[01](?: N\d+-[01])*")
_MAX_SHAPES = 3


def preamble(lines: Sequence[str]) -> tuple[int, str | None]:
    """(how many lines stand before the header, the separator that Excel's `sep=;` names).

    A title and remarks hold no separator, or begin with # and hold fewer than the lines that follow.
    """
    marks = Counter(max(line.count(mark) for mark in SEPARATORS) for line in lines[:_LINES])
    del marks[0]
    usual = marks.most_common(1)[0][0] if marks else 0
    if said := _SAID.fullmatch(lines[0]) if lines else None:
        return 1, said[1]
    for n, line in enumerate(lines[:_MOST_BEFORE] if usual else ()):
        most = max(line.count(mark) for mark in SEPARATORS)
        if most and not (line.startswith("#") and most < usual):
            return n, None
    return 0, None


def dialect(
    lines: Sequence[str], form: Format, separator: str | None, quoted: bool | None, escape: str | None,
    quote: str | None = None,
) -> Format:  # fmt: skip
    """`form` with separator, quoting and escape: those given, else what makes most `lines` rows of one width."""
    sample = [line for line in lines if line.strip()][:_LINES]
    separators = [separator] if separator else [s for s in SEPARATORS if sample and s in sample[0]]
    separators = separators or [s for s in _RARE if sample and _even(sample, s)][:1] or [","]
    apostrophes = bool(sample) and all(line.strip()[:1] + line.strip()[-1:] == "''" for line in sample[:20])
    form = replace(form, quote=quote or ("'" if apostrophes else '"'))
    separators = [s for s in separators if s != "|" or len(separators) == 1 or _steady(sample, s)]
    tried = []
    for mark in separators:
        for quotes, slash in _quotings(sample, mark, quoted, escape):
            trial = replace(form, delimiter=mark, quoted=quotes, escape=slash)
            tried.append((_score(sample, trial), trial))
            if quotes and any(f"{mark} {form.quote}" in line for line in sample):
                spaced = replace(trial, skip_space=True)
                tried.append((_score(sample, spaced), spaced))
    return max(tried, key=lambda pair: pair[0])[1]


def _even(sample: Sequence[str], mark: str) -> bool:
    """Whether a mark cuts every line into the same number of fields, three or more."""
    found = {len(split(line, mark)) for line in sample[:20]}
    return len(found) == 1 and min(found) > 2


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
    rows = DelimitedRows(replace(form, encoding="utf-8", skip=0), source, 1 << 20, form.header)
    found, good, mended = [], 0, 0
    while line := rows.next_line():
        try:
            fields = rows.fields(line)
        except (RowError, UnicodeDecodeError):
            continue
        rows.header = rows.header or tuple(fields)
        found.append(fields)
        good += 1 + "".join(fields).count("\n")
        mended += any(_mended(field, form.quote) for field in fields)
    return found, good, mended


def with_header(lines: Sequence[str], form: Format, expected: set[str], given: bool | None) -> Format:
    """`form` with what its first line is: names, or a row as any other. Raises ValueError where no name is known."""
    sample = [line for line in lines if line.strip()][:_LINES]
    read, _, _ = _read(sample, form)
    if not read:
        return form
    first = read[0]
    rows = read if form.header else read[1:]
    if not form.header and not rows and (longer := _one_longer(lines, first, form)):
        return longer
    form = replace(form, shapes=_shapes(rows))
    if form.header:
        return form
    if twice := sorted({name for name in first if name.strip() and first.count(name) > 1}):
        form = replace(form, found=(f"column names that come again: {', '.join(twice)}; the first of each is read",))
    typed = all(name.rpartition(":")[2] in TYPES for name in first)
    looks_like_data = any(_DATA.fullmatch(cell.strip()) for cell in first) and given is not True
    if looks_like_data and not expected <= set(first):
        raise ValueError(
            f"the first line looks like data, so that the {len(first)} columns have no names; give them in the files' "
            f"order: header: [{', '.join(f'NAME{n}' for n in range(1, len(first) + 1))}]"
        )
    separator = form.list_separator or (" " if typed else None)
    return replace(form, typed_header=typed, first_is_row=looks_like_data, list_separator=separator)


def _mended(field: str, quote: str) -> bool:
    bare = field.strip()
    wrapped = len(bare) > 1 and bare[0] == bare[-1] == quote
    return bool(field.count(quote) % 2) or wrapped or f"\\{quote}" in field


def _one_longer(lines: Sequence[str], first: list[str], form: Format) -> Format | None:
    """The header where each row has one field more: R names its rows, others end each line in a separator."""
    at = next(n for n, line in enumerate(lines) if line.strip()) + 1
    sample = [line for line in lines[at:] if line.strip()][:_LINES]
    rows, n_lines, _ = _read(sample, form)
    if not rows or len(rows[0]) != len(first) + 1 or n_lines < len(sample):
        return None
    ends = not any(row[-1].strip() for row in rows)
    header = named_once([*first, ""] if ends else ["", *first], False)
    why = "each line ends in a separator" if ends else "the first is taken for a name of the row, as R writes it"
    note = f"columns are fewer in the header than in the rows: {why}"
    return replace(form, header=header, skip=form.skip + at, shapes=_shapes(rows), found=(note,))


def _shapes(rows: Sequence[Sequence[str]]) -> tuple[tuple[int, frozenset[str]], ...]:
    found = []
    for n, column in enumerate(zip(*rows, strict=False)):
        seen = {shape(value) for value in column}
        if len(seen) <= _MAX_SHAPES and all("0" in one and len(one) <= 30 for one in seen):
            found.append((n, frozenset(seen)))
    return tuple(found)
