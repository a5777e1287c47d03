"""The k best of many scores, with a defined order among equals."""

from typing import Any

import numpy as np
import numpy.typing as npt

from llmrec.schema import tie_hash

Floats = npt.NDArray[np.floating[Any]]
Floats32 = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
Hashes = npt.NDArray[np.uint64]

#: Scores held at once by one thread; a block has as many rows as fit.
BLOCK_CELLS = 4_000_000
_GROUP = 32
_LOWEST = np.finfo(np.float32).min  # -inf is below it


def top_k(scores: Floats, k: int, user_hash: Hashes, item_hash: Hashes) -> tuple[Ints, Floats32]:
    """The k best columns of each row, best first; equal scores go by `tie_hash`, the smaller first.

    `scores` (Q, n) with -inf for what may not be listed, `user_hash` (Q,), `item_hash` (n,) or (Q, n), both from
    `schema.id_hash` → columns (Q, k), scores (Q, k). Where fewer than k may be listed, -1 and -inf fill up.
    Raises ValueError on NaN: a NaN has no rank.
    """
    row, column = _candidates(scores, k)
    width = np.bincount(row, minlength=len(scores))
    if width.max(initial=0) > 4 * k:  # many ties or a loose bound: keep only what can be listed
        keep = scores[row, column] >= _kth_best(scores, k)[row]
        row, column = row[keep], column[keep]
    value = scores[row, column]
    order = np.lexsort((-value, row))
    r, v = row[order], value[order]
    if ((r[1:] == r[:-1]) & (v[1:] == v[:-1])).any():  # hashes are made only where values tie
        hashes = tie_hash(user_hash[row], np.broadcast_to(item_hash, scores.shape)[row, column])
        order = np.lexsort((hashes, -value, row))
    return _pack(row[order], column[order], value[order], len(scores), k)


def top_rows(rows: Ints, scores: Floats, k: int, user_hash: Hashes, item_hash: Hashes) -> tuple[Ints, Floats32]:
    """`top_k` of the items `rows` (Q, N) alone, -1 being none, whose `scores` (Q, N) are -inf where they may not be.

    `item_hash` (n_items,) -> rows (Q, k), scores (Q, k).
    """
    places, best = top_k(scores, k, user_hash, item_hash[rows])
    return np.where(places >= 0, np.take_along_axis(rows, np.maximum(places, 0), axis=1), -1), best


def _candidates(scores: Floats, k: int) -> tuple[Ints, Ints]:
    """(row, column) of cells among which the k best of each row are, found in one pass over the scores.

    Columns are taken in groups; at least k scores of a row reach the k-th best of its groups' maxima, and only groups
    whose maximum does so are looked into.
    """
    n_rows, n = scores.shape
    n_groups = n // _GROUP
    if n_groups < k:
        return _at_least(scores, _kth_best(scores, k))
    grouped = scores[:, : n_groups * _GROUP].reshape(n_rows, _GROUP, n_groups)
    maxima, rest = grouped.max(axis=1), scores[:, n_groups * _GROUP :]
    _refuse_nan(rest)
    floor = _kth_best(maxima, k)
    group_row, group = _at_least(maxima, floor)
    hit, member = _at_least(grouped[group_row, :, group], floor[group_row])
    rest_row, rest_column = _at_least(rest, floor)
    row = np.concatenate([group_row[hit], rest_row])
    column = np.concatenate([member * n_groups + group[hit], rest_column + n_groups * _GROUP])
    return row, column


def _at_least(scores: Floats, floor: Floats) -> tuple[Ints, Ints]:
    """(row, column) of the cells that reach their row's `floor` and may be listed."""
    row, column = np.nonzero(scores >= np.maximum(floor, _LOWEST)[:, None])
    return row, column


def _kth_best(scores: Floats, k: int) -> Floats:
    """(Q,) the k-th largest value of each row, -inf where a row is shorter."""
    n = scores.shape[1]
    if n < k:
        _refuse_nan(scores)
        return np.full(len(scores), -np.inf, scores.dtype)
    found = np.partition(scores, n - k, axis=1)
    _refuse_nan(found[:, n - k :])  # numpy sorts NaN last
    return found[:, n - k]


def _refuse_nan(scores: Floats) -> None:
    if np.isnan(scores).any():
        raise ValueError("scores hold NaN; expected finite numbers or -inf (not a candidate): check the model's fit")


def _pack(row: Ints, column: Ints, value: Floats, n_rows: int, k: int) -> tuple[Ints, Floats32]:
    """Sorted (row, column, value) triples as padded lists."""
    start = np.searchsorted(row, np.arange(n_rows))
    rank = np.arange(len(row)) - start[row]
    kept = rank < k
    columns = np.full((n_rows, k), -1, np.int64)
    best = np.full((n_rows, k), -np.inf, np.float32)
    columns[row[kept], rank[kept]] = column[kept]
    best[row[kept], rank[kept]] = value[kept]
    return columns, best


def blocks(n_rows: int, n_columns: int, cells: int = BLOCK_CELLS, most: int | None = None) -> list[slice]:
    """Slices of rows such that a block of (rows, n_columns) holds about `cells` numbers, and at most `most` rows."""
    size = max(1, cells // max(n_columns, 1))
    size = size if most is None else min(size, most)
    return [slice(i, min(i + size, n_rows)) for i in range(0, n_rows, size)]
