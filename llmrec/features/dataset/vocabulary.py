"""What of ids, brands and contexts training has seen, and the index of each in the models' tables."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np

from llmrec.features.arrays import Ints


def vocabulary(rows: Ints, times: Ints, cutoff: int) -> Ints:
    """Ascending History rows that have an event before `cutoff` (ms)."""
    return np.unique(rows[times < cutoff])


def lookup(vocabulary: Ints, rows: Ints) -> Any:
    """int32 index of each of `rows`, 1 for the first of the vocabulary; 0 for what is not in it."""
    if not len(vocabulary):
        return np.zeros(np.shape(rows), np.int32)
    place = np.searchsorted(vocabulary, rows).clip(0, len(vocabulary) - 1)
    return np.where(vocabulary[place] == rows, place + 1, 0).astype(np.int32)


def most_frequent(codes: Ints, names: Mapping[int, str], size: int) -> tuple[Ints, tuple[str, ...]]:
    """The `size` most frequent of the hashes (n, A), 0 left out, with their names; ties by name."""
    counted = Counter({int(code): int(n) for code, n in zip(*np.unique(codes, return_counts=True), strict=True)})
    counted.pop(0, None)
    kept = sorted(counted, key=lambda code: (-counted[code], names[code]))[:size]
    return np.array(kept, np.int64), tuple(names[code] for code in kept)
