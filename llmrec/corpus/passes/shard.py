"""The first pass: a unit of input is read row by row and dealt into buckets, one Parquet part a bucket."""

import logging
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from llmrec.config.data.corpus import CorpusConfig
from llmrec.config.data.events import REVIEW
from llmrec.corpus.formats.expand import Expand, expansion
from llmrec.corpus.formats.names import has_reviews, outermost
from llmrec.corpus.passes.event_rows import parser_of
from llmrec.corpus.passes.logged import reading_of_log
from llmrec.corpus.passes.rows import RowParser
from llmrec.corpus.readers.files import InputFile
from llmrec.corpus.readers.form import Format
from llmrec.corpus.readers.lines import PLAIN
from llmrec.corpus.readers.records import Record, RecordReader
from llmrec.corpus.sample import SAMPLE_ATTRIBUTES, sample_table
from llmrec.corpus.values.errors import RowError
from llmrec.files import filesystem
from llmrec.schema import EVENTS, QUARANTINE, RELATIONS, C, items_schema, reviews_schema, users_schema

log = logging.getLogger(__name__)

UNIT = "unit"
_PLACE = [pa.field(UNIT, pa.int32()), pa.field(C.LINE, pa.int64())]
#: What deals the rows of a kind: all that a user did is in one bucket.
KEY = {"reviews": C.USER_ID, "items": C.ITEM_ID, "events": C.USER_ID, "users": C.USER_ID, "relations": C.FOLLOWER_ID}
_FLUSH_ROWS = 10_000
_FLUSH_BYTES = 64 << 20


def tables_of(config: CorpusConfig) -> dict[str, pa.Schema]:
    """The schemas of the tables of this configuration."""
    marked = has_reviews(config) and config.outcome.kind != REVIEW  # reviews lie beside the outcome's events
    attributes = SAMPLE_ATTRIBUTES if config.source == "sample" else config.user_attributes
    return {
        "reviews": reviews_schema(config.context_columns, marked),
        "items": items_schema(config.item_vectors),
        "events": EVENTS,
        "users": users_schema(attributes),
        "relations": RELATIONS,
    }


def staged(table: pa.Schema) -> pa.Schema:
    """What lies in the buckets: the table's columns and the place each row came from."""
    return pa.schema([*table, *_PLACE])


def staged_of(config: CorpusConfig, kind: str) -> pa.Schema:
    """What lies in the buckets of a kind; which rows are the outcome's is known when all of a bucket are together."""
    table = reviews_schema(config.context_columns) if kind == "reviews" else tables_of(config)[kind]
    return staged(table)


@dataclass(frozen=True)
class Unit:
    """A piece of input that one task reads: a file, bytes [start, end) of one, or the sample (`file` None)."""

    index: int
    kind: str  # reviews | items | events | users | relations
    file: InputFile | None = None
    form: Format = PLAIN
    start: int = 0
    end: int | None = None
    logged: bool = False  # a file of `corpus.logged`

    @property
    def source(self) -> str:
        return self.file.path if self.file else "sample"


@dataclass
class UnitReport:
    """What became of a unit's rows: rows_in = kept + quarantined."""

    unit: Unit
    rows_in: int = 0
    kept: int = 0
    n_lines: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    repairs: Counter[str] = field(default_factory=Counter)


def part_uri(folder: str, kind: str, bucket: int, unit: int) -> str:
    """Where the rows of `unit` that fall into `bucket` are staged."""
    return f"{folder}/{kind}/bucket-{bucket:05d}/unit-{unit:06d}.parquet"


def quarantine_uri(folder: str, unit: int) -> str:
    """Where the bad rows of `unit` are staged."""
    return f"{folder}/quarantine/unit-{unit:06d}.parquet"


def shard(config: CorpusConfig, unit: Unit, folder: str, n_buckets: int) -> UnitReport:
    """Read a unit, stage its rows in `folder` by the hash of their key, and its bad rows apart."""
    report = UnitReport(unit)
    with _Parts() as parts:
        if unit.file is None:
            _shard_sample(config, report, parts, folder, n_buckets)
        else:
            _shard_file(config, report, parts, folder, n_buckets)
    log.info("read %s %s: %d rows, %d quarantined", unit.kind, unit.source, report.rows_in, report.reasons.total())
    return report


def _shard_sample(config: CorpusConfig, report: UnitReport, parts: "_Parts", folder: str, n_buckets: int) -> None:
    table = sample_table(config.sample, report.unit.kind)
    report.rows_in = report.kept = table.num_rows
    place = [pa.array(np.full(table.num_rows, report.unit.index)), pa.array(np.arange(table.num_rows) + 1)]
    schema = staged(table.schema)
    _deal(pa.table([*table.columns, *place], names=schema.names).cast(schema), report.unit, parts, folder, n_buckets)


def _shard_file(config: CorpusConfig, report: UnitReport, parts: "_Parts", folder: str, n_buckets: int) -> None:
    unit = report.unit
    assert unit.file is not None
    schema = staged_of(config, unit.kind)
    config = reading_of_log(config) if unit.logged else config
    reader = RecordReader(
        unit.file, unit.form, unit.start, unit.end, config.max_row_bytes, outermost(config, unit.kind)
    )
    parser = parser_of(config, unit.kind, unit.form)
    for good, bad in _batches(reader, parser, unit, expansion(config, unit.kind)):
        report.rows_in += len(good) + len(bad)
        report.kept += len(good)
        report.reasons.update(row[C.REASON] for row in bad)
        _deal(pa.Table.from_pylist(good, schema), unit, parts, folder, n_buckets)
        if bad:
            parts.write(quarantine_uri(folder, unit.index), pa.Table.from_pylist(bad, QUARANTINE))
    report.repairs, report.n_lines = parser.repairs, reader.n_lines


def _batches(
    reader: RecordReader, parser: RowParser, unit: Unit, expand: Expand
) -> Iterator[tuple[list[dict[str, Any]], list[dict[str, Any]]]]:
    good: list[dict[str, Any]] = []
    bad: list[dict[str, Any]] = []
    size = 0
    for record in reader:
        try:
            if record.error or record.fields is None:
                raise record.error or RowError("malformed_row", "found no fields")
            rows = expand(record.fields)
            if not rows:
                parser.repairs["records_of_no_row"] += 1
        except RowError as error:
            bad.append(_quarantined(record, error, unit))
            rows = []
        for fields in rows:
            try:
                row = parser.parse(fields)
                row[UNIT], row[C.LINE] = unit.index, record.line
                good.append(row)
            except RowError as error:
                bad.append(_quarantined(record, error, unit))
        size += len(record.raw) or 1_000
        if len(good) + len(bad) >= _FLUSH_ROWS or size >= _FLUSH_BYTES:
            yield good, bad
            good, bad, size = [], [], 0
    yield good, bad


def _quarantined(record: Record, error: RowError, unit: Unit) -> dict[str, Any]:
    return {
        C.SOURCE: unit.source,
        C.LINE: record.line,
        C.REVIEW_ID: None,
        C.REASON: error.reason,
        C.DETAIL: error.detail.encode("utf-8", "backslashreplace").decode(),
        C.RAW: record.shown,
    }


def _deal(table: pa.Table, unit: Unit, parts: "_Parts", folder: str, n_buckets: int) -> None:
    bucket = bucket_of(table.column(KEY[unit.kind]), n_buckets)
    for b in np.unique(bucket):
        parts.write(part_uri(folder, unit.kind, int(b), unit.index), table.filter(pa.array(bucket == b)))


def bucket_of(keys: pa.ChunkedArray, n_buckets: int) -> npt.NDArray[np.int64]:
    """(n,) the bucket of each key: the same in every process, unlike `hash`."""
    encoded = keys.combine_chunks().dictionary_encode()
    hashes = [zlib.crc32(key.encode()) % n_buckets for key in encoded.dictionary.to_pylist()]
    buckets: npt.NDArray[np.int64] = np.array(hashes, np.int64)[encoded.indices.to_numpy(zero_copy_only=False)]
    return buckets


class _Parts:
    """Parquet files that grow batch by batch, opened when they get their first row."""

    def __init__(self) -> None:
        self._writers: dict[str, pq.ParquetWriter] = {}

    def __enter__(self) -> "_Parts":
        return self

    def __exit__(self, *_: object) -> None:
        for writer in self._writers.values():
            writer.close()

    def write(self, uri: str, table: pa.Table) -> None:
        if uri not in self._writers:
            fs, path = filesystem(uri)
            fs.create_dir(path.rsplit("/", 1)[0], recursive=True)
            self._writers[uri] = pq.ParquetWriter(path, table.schema, filesystem=fs, compression="zstd")
        self._writers[uri].write_table(table)
