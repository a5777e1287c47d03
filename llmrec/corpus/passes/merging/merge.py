"""The second pass: a bucket's rows in order, each event and each item once, and their portrait."""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from llmrec.config.data.corpus import CorpusConfig
from llmrec.corpus.passes.keys import hashed
from llmrec.corpus.passes.logged import last_word
from llmrec.corpus.passes.merging.bucket_report import BucketReport, portray_items, portray_reviews
from llmrec.corpus.passes.merging.event_merge import (
    EVENT_ORDER,
    by_policy,
    copies,
    one_relation_each,
    portray_events,
    with_outcomes,
)  # fmt: skip
from llmrec.corpus.passes.merging.repeats import distinct_ids, n_repeats, one_row_each, repeated
from llmrec.corpus.passes.shard import KEY, UNIT, staged_of, tables_of
from llmrec.files import filesystem, write_parquet
from llmrec.schema import QUARANTINE, VECTOR_PREFIX, C, review_id

_ORDER = {"reviews": (C.TIMESTAMP, C.EVENT_ORDER, UNIT, C.LINE), "events": EVENT_ORDER}
_TIED = (C.TIMESTAMP, C.EVENT_ORDER, C.TEXT, C.TITLE, C.STARS, UNIT, C.LINE)  # a pair's events of one time, by content
_WHY = {
    "copy": "another row has the same pair, time and words, and was kept",
    "copied_event": "another row of the user has the same event_id, and was kept",
    "repeated_pair": "the pair comes again later, and the last was kept (corpus.repeats)",
}


@dataclass(frozen=True)
class Origin:
    """What a unit's number stands for: its file, and how many lines of it come before the unit."""

    source: str
    lines_before: int
    logged: bool = False  # a file of `corpus.logged`


def merge(
    config: CorpusConfig, kind: str, parts: list[str], origins: Mapping[int, Origin], target: str, rejected: str,
    events: pa.Table | None = None,
) -> tuple[BucketReport, pa.Table]:  # fmt: skip
    """Order the staged `parts` and take repetitions out; rows go to `target`, the rest to `rejected` (Parquet URIs).

    Reviews: copies go, and events of a pair but its last where `corpus.repeats` says so; of `events`, those of the same
    users, the outcome's come in. Items and users: rows of one become one. Returns the table that was written, too.
    """
    schema, of = tables_of(config)[kind], staged_of(config, kind)
    rows = pa.concat_tables([of.empty_table(), *(_read(uri, of) for uri in parts)])
    rows = rows.sort_by([(column, "ascending") for column in _ORDER.get(kind, (UNIT, C.LINE))])
    report = BucketReport(kind)
    if kind == "reviews":
        table = with_outcomes(config, _reviews(config, rows, report, origins, rejected), events, report)
    elif kind == "events":
        table = _events(config, rows, report, origins, rejected)
    else:
        if kind == "items":
            logged = [unit for unit, origin in origins.items() if origin.logged]
            rows = last_word(rows, np.isin(rows.column(UNIT).to_numpy(), logged))
        table = one_relation_each(rows) if kind == "relations" else one_row_each(rows, KEY[kind])
        report.merged = rows.num_rows - table.num_rows
    table = table.select(schema.names)
    report.rows = table.num_rows
    write_parquet(target, table.cast(schema).combine_chunks())
    _portray(table, report)
    return report, table


def _portray(table: pa.Table, report: BucketReport) -> None:
    vectors = [name for name in table.column_names if name.startswith(VECTOR_PREFIX)]
    report.lengths = {name: _lengths(table.column(name)) for name in vectors}
    if report.kind == "relations":
        report.undated = table.column(C.SINCE).null_count
    elif report.kind != "users":
        {"reviews": portray_reviews, "items": portray_items, "events": portray_events}[report.kind](table, report)


def _events(
    config: CorpusConfig, rows: pa.Table, report: BucketReport, origins: Mapping[int, Origin], rejected: str
) -> pa.Table:
    again = copies(rows)
    report.copies = int(again.sum())
    if report.copies:
        write_parquet(rejected, _repetitions(rows.filter(pa.array(again)), "copied_event", origins))
    return by_policy(rows.filter(pa.array(~again)), config.event_repeats, report)


def _reviews(
    config: CorpusConfig, rows: pa.Table, report: BucketReport, origins: Mapping[int, Origin], rejected: str
) -> pa.Table:
    copies, replaced = repeated(rows, config.repeats)
    report.copies, report.replaced = int(copies.sum()), int(replaced.sum())
    if report.copies + report.replaced:
        bad = [
            (rows.filter(pa.array(mask)), reason) for mask, reason in ((copies, "copy"), (replaced, "repeated_pair"))
        ]
        write_parquet(rejected, pa.concat_tables([_repetitions(table, reason, origins) for table, reason in bad]))
    kept = rows.filter(pa.array(~(copies | replaced)))
    report.repeats = n_repeats(kept)
    return distinct_ids(kept.sort_by([(c, "ascending") for c in _TIED])) if report.repeats else kept


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
    hashes = np.concatenate([hashed(_read(uri, schema).column(C.REVIEW_ID)) for uri in parts])
    found, counts = np.unique(hashes, return_counts=True)
    shared = found[counts > 1]
    for uri in parts if len(shared) else []:
        table = _read(uri, schema)
        rows = table.select([C.REVIEW_ID, C.USER_ID, C.ITEM_ID, C.TIMESTAMP]).to_pylist()
        replaced = np.isin(hashed(table.column(C.REVIEW_ID)), shared)
        ids = [
            review_id(*list(row.values())[1:]) if new else row[C.REVIEW_ID]
            for row, new in zip(rows, replaced, strict=True)
        ]
        write_parquet(uri, distinct_ids(table.set_column(0, schema.field(C.REVIEW_ID), pa.array(ids, pa.string()))))
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


def _repetitions(table: pa.Table, reason: str, origins: Mapping[int, Origin]) -> pa.Table:
    rows = []
    for row in table.to_pylist():
        origin = origins[row.pop(UNIT)]
        line = row.pop(C.LINE) + origin.lines_before
        rows.append(
            {
                C.SOURCE: origin.source,
                C.LINE: line,
                C.REVIEW_ID: row.get(C.REVIEW_ID),
                C.REASON: reason,
                C.DETAIL: f"{row[C.USER_ID]}, {row[C.ITEM_ID]}: {_WHY[reason]}",
                C.RAW: json.dumps(row, ensure_ascii=False)[:2_000],
            }
        )
    return pa.Table.from_pylist(rows, QUARANTINE)
