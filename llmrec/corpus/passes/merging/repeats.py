"""Pairs that come again: copies are told from events, and the rows of one item become one."""

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from llmrec.corpus.passes.keys import Ints, codes_of, first_of_each, joint_codes
from llmrec.schema import C, review_id

Bools = npt.NDArray[np.bool_]
_WORDS = (C.TITLE, C.TEXT)


def repeated(rows: pa.Table, policy: str) -> tuple[Bools, Bools]:
    """(copies, replaced), both (n,), of `rows` in order of time.

    A copy has the pair, the time and the words of another row, which says as much or more. Replaced are, where
    `policy` is "last", the events of a pair but its last.
    """
    pair = joint_codes([rows.column(C.USER_ID), rows.column(C.ITEM_ID)])
    copies, replaced = np.zeros(len(pair), bool), np.zeros(len(pair), bool)
    again = np.flatnonzero(np.bincount(pair)[pair] > 1)
    if len(again):
        copies[again] = _copies(rows.take(again))
        left = again[~copies[again]]
        if policy == "last" and len(left):
            replaced[left] = ~first_of_each(pair[left][::-1])[::-1]
    return copies, replaced


def _copies(rows: pa.Table) -> Bools:
    key = joint_codes(rows.column(name) for name in (C.USER_ID, C.ITEM_ID, C.TIMESTAMP, *_WORDS))
    said = sum(pc.is_valid(column).to_numpy(zero_copy_only=False).astype(np.int64) for column in rows.columns)
    order = np.lexsort((np.arange(len(key)), -np.asarray(said), key))
    copies = np.ones(len(key), bool)
    copies[order[np.unique(key[order], return_index=True)[1]]] = False
    return copies


def n_repeats(rows: pa.Table) -> int:
    """How many events have a pair that came before."""
    pair = joint_codes([rows.column(C.USER_ID), rows.column(C.ITEM_ID)])
    return len(pair) - len(np.unique(pair))


def distinct_ids(rows: pa.Table) -> pa.Table:
    """`rows` (reviews) with the ids of a pair's events of one time told apart: from the second on they are numbered."""
    ids = codes_of(rows.column(C.REVIEW_ID))
    again = np.flatnonzero(~first_of_each(ids))
    if not len(again):
        return rows
    column, count = rows.column(C.REVIEW_ID).to_pylist(), np.zeros(ids.max() + 1, np.int64)
    for row, who in zip(again, rows.take(again).to_pylist(), strict=True):
        count[ids[row]] += 1
        column[row] = review_id(who[C.USER_ID], f"{who[C.ITEM_ID]}\t{count[ids[row]]}", who[C.TIMESTAMP])
    place = rows.schema.get_field_index(C.REVIEW_ID)
    return rows.set_column(place, rows.schema.field(place), pa.array(column, pa.string()))


def one_row_each(rows: pa.Table, key: str) -> pa.Table:
    """The rows of one `key` as one, in the place of the first: of each column the first value that is there."""
    codes = codes_of(rows.column(key))
    if len(np.unique(codes)) == len(codes):
        return rows
    first = np.flatnonzero(first_of_each(codes))
    columns = [column.take(_first_valid(column, codes, codes[first])) for column in rows.columns]
    return pa.table(columns, schema=rows.schema)


def _first_valid(column: pa.ChunkedArray, codes: Ints, wanted: Ints) -> pa.Array:
    there = np.flatnonzero(pc.is_valid(column).to_numpy(zero_copy_only=False))
    place = np.full(codes.max() + 1, -1)
    found, index = np.unique(codes[there], return_index=True)
    place[found] = there[index]
    return pa.array(place[wanted], mask=place[wanted] < 0)
