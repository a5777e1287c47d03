"""The second pass: a bucket's rows in order, each (user, item) pair and each item once, and their portrait."""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from llmrec.corpus.passes.shard import UNIT, staged
from llmrec.files import filesystem, write_parquet
from llmrec.schema import DAY_MS, QUARANTINE, VECTOR_PREFIX, C, review_id

_TEXTS_A_BUCKET = 300
_ORDER = {"reviews": (C.TIMESTAMP, C.EVENT_ORDER, UNIT, C.LINE), "items": (UNIT, C.LINE)}
_PAIR = {"reviews": (C.USER_ID, C.ITEM_ID), "items": (C.ITEM_ID,)}
_REPEATED = {"reviews": "duplicate_pair", "items": "duplicate_item"}


@dataclass(frozen=True)
class Origin:
    """What a unit's number stands for: its file, and how many lines of it come before the unit."""

    source: str
    lines_before: int


@dataclass
class BucketReport:
    """What a bucket holds, in a form that adds up over buckets (a user's events are all in one)."""

    kind: str
    number: int = 0
    rows: int = 0
    duplicates: int = 0
    users: int = 0
    tied: int = 0  # events that share their time with another event of the same user
    whole_day: int = 0  # events stamped midnight UTC
    no_text: int = 0
    no_stars: int = 0
    first: int | None = None
    last: int | None = None
    stars: Counter[float] = field(default_factory=Counter)
    items: npt.NDArray[np.uint64] = field(default_factory=lambda: np.empty(0, np.uint64))  # hashes, each once
    lengths: dict[str, Counter[int]] = field(default_factory=dict)  # of the vectors, by column
    texts: list[str] = field(default_factory=list)  # a few, for the portrait's languages


def merge(
    kind: str, schema: pa.Schema, parts: list[str], origins: Mapping[int, Origin], target: str, rejected: str
) -> BucketReport:
    """Order and deduplicate the staged `parts`; rows go to `target`, repetitions to `rejected` (Parquet URIs).

    Of rows with one key the earliest stays: by time for reviews, by file and line for items. `schema` is the table's.
    """
    rows = pa.concat_tables([_read(uri, staged(schema)) for uri in parts])
    rows = rows.sort_by([(column, "ascending") for column in _ORDER[kind]])
    first = _first_of_each(rows, _PAIR[kind])
    table = rows.filter(pa.array(first)).select(schema.names)
    report = BucketReport(kind, rows=table.num_rows, duplicates=int((~first).sum()))
    write_parquet(target, table.cast(schema).combine_chunks())
    if report.duplicates:
        write_parquet(rejected, _repetitions(kind, rows.filter(pa.array(~first)), origins))
    if kind == "reviews":
        _portray(table, report)
    report.lengths = {name: _lengths(table.column(name)) for name in schema.names if name.startswith(VECTOR_PREFIX)}
    return report


def even_lengths(parts: list[str], schema: pa.Schema, lengths: Mapping[str, int]) -> Counter[str]:
    """Empty the vectors of the item `parts` that have not the length their column has; how many, by column."""
    emptied = Counter[str]()
    for uri in parts:
        table = _read(uri, schema)
        for name, length in lengths.items():
            column = table.column(name)
            wrong = pc.fill_null(pc.not_equal(pc.list_value_length(column), length), False)
            emptied[f"{name}_wrong_length"] += pc.sum(wrong).as_py() or 0
            kept = pc.if_else(wrong, pa.scalar(None, column.type), column)
            table = table.set_column(table.schema.get_field_index(name), schema.field(name), kept)
        write_parquet(uri, table.combine_chunks())
    return +emptied


def _lengths(vectors: pa.ChunkedArray) -> Counter[int]:
    found = pc.value_counts(pc.drop_null(pc.list_value_length(vectors))).to_pylist()
    return Counter({row["values"]: row["counts"] for row in found})


def unshare_ids(parts: list[str], schema: pa.Schema) -> int:
    """Give reviews whose corpus gave them one id between them ids of their own; returns how many they are."""
    hashes = np.concatenate([_hashed(_read(uri, schema).column(C.REVIEW_ID)) for uri in parts])
    found, counts = np.unique(hashes, return_counts=True)
    shared = found[counts > 1]
    for uri in parts if len(shared) else []:
        table = _read(uri, schema)
        rows = table.select([C.REVIEW_ID, C.USER_ID, C.ITEM_ID, C.TIMESTAMP]).to_pylist()
        replaced = np.isin(_hashed(table.column(C.REVIEW_ID)), shared)
        ids = [
            review_id(*list(row.values())[1:]) if new else row[C.REVIEW_ID]
            for row, new in zip(rows, replaced, strict=True)
        ]
        write_parquet(uri, table.set_column(0, schema.field(C.REVIEW_ID), pa.array(ids, pa.string())))
    return int(counts[counts > 1].sum())


def relocate(part: str, origin: Origin, target: str) -> pa.Table:
    """Write the staged bad rows of a unit to `target` with lines counted from the file's start; returns them."""
    table = _read(part, QUARANTINE)
    line = pc.add(table.column(C.LINE), origin.lines_before)
    table = table.set_column(table.schema.get_field_index(C.LINE), QUARANTINE.field(C.LINE), line)
    write_parquet(target, table)
    return table


def _read(uri: str, schema: pa.Schema) -> pa.Table:
    fs, path = filesystem(uri)
    return pq.read_table(path, filesystem=fs, schema=schema, partitioning=None)


def _hashed(strings: pa.ChunkedArray) -> npt.NDArray[np.uint64]:
    hashes: npt.NDArray[np.uint64] = pd.util.hash_array(strings.to_numpy().astype(object), categorize=False)
    return hashes


def _codes(column: pa.ChunkedArray) -> npt.NDArray[np.int64]:
    encoded = column.combine_chunks().dictionary_encode()
    codes: npt.NDArray[np.int64] = encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64)
    return codes


def _first_of_each(table: pa.Table, names: tuple[str, ...]) -> npt.NDArray[np.bool_]:
    key = np.zeros(table.num_rows, np.int64)
    for name in names:
        codes = _codes(table.column(name))
        key = key * (codes.max(initial=0) + 1) + codes
    first = np.zeros(table.num_rows, bool)
    first[np.unique(key, return_index=True)[1]] = True
    return first


def _repetitions(kind: str, table: pa.Table, origins: Mapping[int, Origin]) -> pa.Table:
    rows = []
    for row in table.to_pylist():
        origin = origins[row.pop(UNIT)]
        line = row.pop(C.LINE) + origin.lines_before
        key = ", ".join(row[name] for name in _PAIR[kind])
        rows.append(
            {
                C.SOURCE: origin.source,
                C.LINE: line,
                C.REVIEW_ID: row.get(C.REVIEW_ID),
                C.REASON: _REPEATED[kind],
                C.DETAIL: f"{key}: an earlier row has the same key and was kept",
                C.RAW: json.dumps(row, ensure_ascii=False)[:2_000],
            }
        )
    return pa.Table.from_pylist(rows, QUARANTINE)


def _portray(table: pa.Table, report: BucketReport) -> None:
    if not table.num_rows:
        return
    user, time = _codes(table.column(C.USER_ID)), table.column(C.TIMESTAMP).to_numpy()
    report.users = len(np.unique(user))
    report.first, report.last = int(time.min()), int(time.max())
    report.whole_day = int((time % DAY_MS == 0).sum())
    moments = pd.DataFrame({"user": user, "time": time})
    report.tied = int(moments.duplicated(keep=False).sum())
    text, stars = table.column(C.TEXT), table.column(C.STARS)
    report.no_text, report.no_stars = text.null_count, stars.null_count
    report.stars = Counter(dict(zip(*np.unique(stars.drop_null().to_numpy(), return_counts=True), strict=True)))
    report.items = np.unique(_hashed(pa.chunked_array([table.column(C.ITEM_ID).unique()])))
    written = text.drop_null()
    every = max(1, len(written) // _TEXTS_A_BUCKET)
    report.texts = [t[:1_000] for t in written.take(np.arange(0, len(written), every)[:_TEXTS_A_BUCKET]).to_pylist()]
