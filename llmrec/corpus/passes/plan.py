"""Which files are read, and how: each file's format, its columns, and the ranges that tasks read."""

import logging
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from llmrec.config.data.corpus import CorpusConfig
from llmrec.corpus.formats.expand import Expand, expansion
from llmrec.corpus.formats.names import SETTINGS, hints_of, names_of, outermost, parts_of, reading_of, required
from llmrec.corpus.passes.logged import kind_of, reading_of_log
from llmrec.corpus.passes.lookup import finder
from llmrec.corpus.passes.shard import Unit
from llmrec.corpus.readers.detect import detect
from llmrec.corpus.readers.files import InputFile, resolve
from llmrec.corpus.readers.form import Format
from llmrec.corpus.readers.parquet import opened
from llmrec.corpus.readers.records import RecordReader
from llmrec.corpus.values.errors import RowError
from llmrec.corpus.values.written_dates import order_of
from llmrec.schema import C

log = logging.getLogger(__name__)

SPLIT_BYTES = 64 << 20  # a plain JSON-lines file is read in ranges of this size
_PEEK_ROWS = 1_000
_DATES = {"reviews": C.TIMESTAMP, "items": C.AVAILABLE_FROM, "events": C.TIMESTAMP, "relations": C.SINCE}
_NUMBERS = {"reviews": C.STARS, "items": C.PRICE, "events": C.VALUE}


@dataclass(frozen=True)
class Seen:
    """A file, how it is written, and its first rows."""

    file: InputFile
    form: Format
    rows: list[dict[str, Any]]

    @property
    def columns(self) -> set[str]:
        return {name for row in self.rows for name in row}


def plan(config: CorpusConfig) -> list[Unit]:
    """The units of input, each one task. Raises where files are missing or lack a required column."""
    if config.source == "sample":
        sample = config.sample
        made = {"reviews": sample.reviews, "items": True, "events": sample.events, "users": sample.people,
                "relations": sample.people}  # fmt: skip
        units = [Unit(n, kind) for n, kind in enumerate(kind for kind, wanted in made.items() if wanted)]
        return units + _logged(config, len(units))
    units = []
    for kind in SETTINGS:
        for seen in _usable(config, kind, resolve(getattr(config, kind))):
            for start, end in _ranges(seen):
                units.append(Unit(len(units), kind, seen.file, seen.form, start, end))
    return units + _logged(config, len(units))


def _logged(config: CorpusConfig, first: int) -> list[Unit]:
    """The units of `corpus.logged`, after all others."""
    own, units = reading_of_log(config), list[Unit]()
    for file in resolve(config.logged):
        kind = kind_of(file)
        units.append(Unit(first + len(units), kind, file, peek(own, kind, file).form, logged=True))
    return units


def _ranges(seen: Seen) -> Iterator[tuple[int, int | None]]:
    edges = list(range(0, max(1, seen.file.size), SPLIT_BYTES)) if seen.form.splittable else [0]
    return zip(edges, [*edges[1:], None], strict=True)


def _usable(config: CorpusConfig, kind: str, files: list[InputFile]) -> list[Seen]:
    """What can be read of `files`; in a folder, files of another kind are passed over."""
    usable, problems = [], []
    for file in files:
        try:
            seen = peek(config, kind, file)
            _require_columns(config, kind, seen)
            usable.append(seen)
        except ValueError as error:
            if not file.in_folder:
                raise
            problems.append(error)
            log.info("%s: passed over: %s", file.path, error)
    if problems and not usable:
        raise problems[0]
    return _of_one_kind(config, kind, usable)


def _of_one_kind(config: CorpusConfig, kind: str, usable: list[Seen]) -> list[Seen]:
    """Files without stars among files with them are passed over in a folder, and named where they were named."""
    stars = names_of(config, kind).get(C.STARS, ())
    with_stars = {seen.file.path for seen in usable if any(finder(stars)(row) is not None for row in seen.rows)}
    odd = [seen for seen in usable if with_stars and seen.rows and seen.file.path not in with_stars]
    for seen in odd:
        done = "passed over" if seen.file.in_folder else "read as events without stars"
        log.warning("%s: has no %s, which other files have: %s", seen.file.path, " or ".join(map(str, stars)), done)
    notes = {s.file.path: (*s.form.found, f"no {C.STARS}, unlike its neighbours") for s in odd}
    kept = [seen for seen in usable if seen not in odd or not seen.file.in_folder]
    return [replace(s, form=replace(s.form, found=notes.get(s.file.path, s.form.found))) for s in kept]


def peek(config: CorpusConfig, kind: str, file: InputFile, every: bool = False) -> Seen:
    """How a file is written, and its first rows; of a Parquet file the columns that are mapped, or `every` one.

    Raises ValueError for a file that cannot be read.
    """
    reading = reading_of(config, kind)
    form = detect(file, reading, hints_of(config, file, kind))
    wanted = outermost(config, kind) if form.kind == "parquet" and not every else None
    reader = RecordReader(file, form, 0, None, config.max_row_bytes, wanted)
    rows = list(islice(_rows(reader, expansion(config, kind)), _PEEK_ROWS))
    dates = reading.dates or order_of(_texts(config, kind, _DATES.get(kind, ""), rows))
    decimal = reading.decimal or _decimal(config, kind, rows)
    notes = [f"dates {dates}"] * (dates is not None and not reading.dates)
    notes += [f"decimal mark {decimal}"] * (decimal is not None and not reading.decimal)
    return Seen(file, replace(form, dates=dates, decimal=decimal, found=(*form.found, *notes)), rows)


def _rows(reader: RecordReader, expand: Expand) -> Iterator[dict[str, Any]]:
    for record in islice(reader, _PEEK_ROWS):
        with suppress(RowError):
            yield from expand(record.fields) if record.fields is not None else ()


def _texts(config: CorpusConfig, kind: str, name: str, rows: list[dict[str, Any]]) -> list[str]:
    find = finder(names_of(config, kind).get(name, ()))
    return [found.strip() for row in rows if isinstance(found := find(row), str)]


def _decimal(config: CorpusConfig, kind: str, rows: list[dict[str, Any]]) -> str | None:
    """A comma where numbers have one before one or two digits and none has a point there."""
    texts = _texts(config, kind, _NUMBERS.get(kind, ""), rows)
    ends = [text.strip(" €$£")[-3:] for text in texts]
    commas, points = (sum(mark in end for end in ends) for mark in ",.")
    return "," if commas and not points else None


def _require_columns(config: CorpusConfig, kind: str, seen: Seen) -> None:
    _refuse_columns_as_rows(config, kind, seen)
    present, needed_here = seen.columns, required(config, kind)
    for ours, theirs in names_of(config, kind).items():
        if seen.rows and ours in needed_here and not any(_present(parts_of(one), present) for one in theirs):
            why = "without a time nothing can be proven leak-free; " if ours == C.TIMESTAMP else ""
            wanted = " or ".join(" + ".join(parts_of(one)) for one in theirs)
            mapping = SETTINGS[kind].columns
            names = opened(seen.file).schema_arrow.names if seen.form.kind == "parquet" else present
            raise ValueError(
                f"corpus: {seen.file.path}: no column for {ours}: expected {wanted}, found "
                f"{', '.join(sorted(names)[:30])}; {_wrapped(config, kind, seen)}{why}name the right `source`, or map "
                f"{ours} to a column of the file in corpus.{mapping} (the file was read as {seen.form.describe()})"
            )


def _refuse_columns_as_rows(config: CorpusConfig, kind: str, seen: Seen) -> None:
    """One object of lists, or of objects by row number, is a table written by its columns: pandas' to_json does it."""
    (row, *more) = seen.rows or [{}]
    names = names_of(config, kind)
    needed = [finder(names[name])(row) for name in required(config, kind) if name in names]
    if not more and len(needed) > 1 and all(isinstance(value, (list, dict)) and len(value) > 1 for value in needed):
        raise ValueError(
            f"corpus: {seen.file.path}: one object that holds whole columns; expected an object a row, such as pandas' "
            'to_json(orient="records", lines=True) writes'
        )


def lists_of_rows(row: dict[str, Any]) -> list[str]:
    """The names of a row's lists of objects, which may be rows themselves."""
    return [name for name, value in row.items() if isinstance(value, list) and isinstance((value or [0])[0], dict)]


def _wrapped(config: CorpusConfig, kind: str, seen: Seen) -> str:
    """What helps where the rows lie in a list within each object."""
    setting = "" if reading_of(config, kind).each else f"corpus.{SETTINGS[kind].format}.each"
    return "".join(
        f"the rows seem to be the {len(seen.rows[0][name])} elements of {name!r}: set {setting}: {name}, or write them "
        f"one a line (jq -c '.{name}[]'); "
        for name in lists_of_rows(seen.rows[0])
        if setting
    )


def _present(parts: tuple[str, ...], columns: set[str]) -> bool:
    return all(name in columns or name.partition(".")[0] in columns for name in parts)
