"""The k best of many scores, with a defined order among equals."""

import numpy as np
import numpy.typing as npt

from llmrec.schema import tie_hash

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
Hashes = npt.NDArray[np.uint64]


def top_k(scores: Floats, k: int, user_hash: Hashes, item_hash: Hashes) -> tuple[Ints, Floats]:
    """The k best columns of each row, best first; equal scores go by `tie_hash`, the smaller first.

    `scores` (Q, n) with -inf for what may not be listed, `user_hash` (Q,), `item_hash` (n,) or (Q, n), both from
    `schema.id_hash` → columns (Q, k), scores (Q, k). Where fewer than k may be listed, -1 and -inf fill up.
    """
    columns = np.full((len(scores), k), -1, np.int64)
    best = np.full((len(scores), k), -np.inf, np.float32)
    items = np.broadcast_to(item_hash, scores.shape)
    for q in range(len(scores)):
        found = _top(scores[q], k, user_hash[q], items[q])
        columns[q, : len(found)] = found
        best[q, : len(found)] = scores[q, found]
    return columns, best


def _top(scores: Floats, k: int, user: np.uint64, items: Hashes) -> Ints:
    candidates = np.flatnonzero(scores > -np.inf)
    values = scores[candidates]
    if len(candidates) > k:  # everything at least as good as the k-th, ties included
        at_least = values >= np.partition(values, len(values) - k)[len(values) - k]
        candidates, values = candidates[at_least], values[at_least]
    order = np.lexsort((tie_hash(np.asarray(user), items[candidates]), -values))
    return np.asarray(candidates[order][:k], np.int64)
