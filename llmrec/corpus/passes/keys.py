"""Columns as integers: equal values have equal codes."""

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

Ints = npt.NDArray[np.int64]


def hashed(strings: pa.ChunkedArray) -> npt.NDArray[np.uint64]:
    """(n,) a hash of each text, the same in every process."""
    hashes: npt.NDArray[np.uint64] = pd.util.hash_array(strings.to_numpy().astype(object), categorize=False)
    return hashes


def codes_of(column: pa.ChunkedArray) -> Ints:
    """(n,) codes from 0; null has one of its own."""
    encoded = column.combine_chunks().dictionary_encode("encode")
    codes: Ints = encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64)
    return codes


def joint_codes(columns: Iterable[pa.ChunkedArray]) -> Ints:
    """(n,) codes of rows: equal where all `columns` are."""
    joint: Ints | None = None
    for column in columns:
        codes = codes_of(column)
        joint = codes if joint is None else _joined(joint, codes)
    assert joint is not None
    return joint


def _joined(joint: Ints, codes: Ints) -> Ints:
    both = joint * (codes.max(initial=0) + 1) + codes
    inverse: Ints = np.unique(both, return_inverse=True)[1].astype(np.int64)
    return inverse


def first_of_each(codes: Ints) -> npt.NDArray[np.bool_]:
    """(n,) whether a row is the first with its code."""
    first = np.zeros(len(codes), bool)
    first[np.unique(codes, return_index=True)[1]] = True
    return first


def hashed_ids(ids: list[str]) -> npt.NDArray[np.uint64]:
    """(n,) the same hashes of a list."""
    return hashed(pa.chunked_array([pa.array(ids, pa.string())]))
