"""Exact top-k of blocked scores with masks and hashed ties, in bounded memory."""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits

from llmrec.schema import tie_hash

Ints = npt.NDArray[np.int64]
Scores = npt.NDArray[np.float32]
Hashes = npt.NDArray[np.uint64]

#: Scores held at once by one thread; a block has as many rows as fit.
BLOCK_CELLS = 4_000_000
_CHUNK = 32


@dataclass(frozen=True)
class TopK:
    """Ranked lists: `item_rows` (Q, k) int64, best first, −1 where a list ends early; `scores` (Q, k) float32."""

    item_rows: Ints
    scores: Scores

    def __len__(self) -> int:
        return len(self.item_rows)

    def cut(self, k: int) -> "TopK":
        """The first k of each list."""
        return TopK(self.item_rows[:, :k], self.scores[:, :k])


def top_k(scores: Scores, k: int, user_hash: Hashes, item_hash: Hashes) -> TopK:
    """The k best of each row of `scores` (B, N); −inf is never listed; ties: the smaller `tie_hash` first.

    `user_hash` (B,) and `item_hash` (N,) come from `schema.id_hash`. Raises ValueError on NaN: a NaN has no rank.
    """
    floor = _lower_bound(scores, k)
    floor = np.maximum(floor, np.finfo(np.float32).min)  # −inf is below every floor
    cells = np.flatnonzero(scores >= floor[:, None])
    row, column = np.divmod(cells, scores.shape[1])
    width = np.bincount(row, minlength=len(scores))
    if width.max(initial=0) > 4 * k:  # many ties or a loose bound: keep only what can be listed
        exact = _kth_best(scores, k)
        keep = scores.ravel()[cells] >= exact[row]
        row, column = row[keep], column[keep]
    value = scores[row, column]
    order = _order(row, column, value, user_hash, item_hash)
    return _pack(row[order], column[order], value[order], len(scores), k)


def _order(row: Ints, column: Ints, value: Scores, user_hash: Hashes, item_hash: Hashes) -> Ints:
    """The candidates by row (they come so), then by falling value; hashes are made only where values tie."""
    order: Ints = np.lexsort((-value, row))
    r, v = row[order], value[order]
    if ((r[1:] == r[:-1]) & (v[1:] == v[:-1])).any():
        order = np.lexsort((tie_hash(user_hash[row], item_hash[column]), -value, row))
    return order


def _lower_bound(scores: Scores, k: int) -> Scores:
    """(B,) a value that at least k scores of the row reach: the k-th best of the maxima of small groups."""
    n_chunks = scores.shape[1] // _CHUNK
    if n_chunks < k:
        return _kth_best(scores, k)
    maxima = scores[:, : n_chunks * _CHUNK].reshape(len(scores), _CHUNK, n_chunks).max(axis=1)
    _refuse_nan(scores[:, n_chunks * _CHUNK :])
    return _kth_best(maxima, k)


def _kth_best(scores: Scores, k: int) -> Scores:
    """(B,) the k-th largest value of each row, −inf where a row is shorter."""
    n = scores.shape[1]
    if n < k:
        return np.full(len(scores), -np.inf, np.float32)
    found = np.partition(scores, n - k, axis=1)
    _refuse_nan(found[:, n - k :])  # numpy sorts NaN last
    return np.asarray(found[:, n - k], np.float32)


def _refuse_nan(scores: Scores) -> None:
    if np.isnan(scores).any():
        raise ValueError("scores hold NaN; expected finite numbers or -inf (not a candidate): check the model's fit")


def _pack(row: Ints, column: Ints, value: Scores, n_rows: int, k: int) -> TopK:
    """Sorted (row, column, value) triples as padded lists."""
    start = np.searchsorted(row, np.arange(n_rows))
    rank = np.arange(len(row)) - start[row]
    kept = rank < k
    items = np.full((n_rows, k), -1, np.int64)
    listed = np.full((n_rows, k), -np.inf, np.float32)
    items[row[kept], rank[kept]] = column[kept]
    listed[row[kept], rank[kept]] = value[kept]
    return TopK(items, listed)


def blocks(n_rows: int, n_columns: int, cells: int = BLOCK_CELLS) -> Iterator[slice]:
    """Slices of rows such that a block of (rows, n_columns) holds about `cells` numbers."""
    size = max(1, cells // max(n_columns, 1))
    return (slice(i, min(i + size, n_rows)) for i in range(0, n_rows, size))


def blocked_top_k(
    score: Callable[[slice], Scores],
    n_rows: int,
    k: int,
    user_hash: Hashes,
    item_hash: Hashes,
    threads: int | None = None,
) -> TopK:
    """`top_k` over blocks of rows; `score(rows)` returns masked (B, N) scores and is called from several threads.

    Peak memory: about 3 × threads × BLOCK_CELLS × 4 bytes, plus the lists.
    """
    threads = threads or min(4, os.cpu_count() or 1)
    parts = list(blocks(n_rows, len(item_hash)))

    def one(rows: slice) -> TopK:
        return top_k(score(rows), k, user_hash[rows], item_hash)

    with threadpool_limits(1, "blas"), ThreadPoolExecutor(threads) as pool:  # BLAS threads inside ours only wait
        found = list(pool.map(one, parts))
    if not found:
        return TopK(np.empty((0, k), np.int64), np.empty((0, k), np.float32))
    return TopK(np.concatenate([f.item_rows for f in found]), np.concatenate([f.scores for f in found]))
