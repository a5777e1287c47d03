"""Feature families of the items' own vector columns (embeddings of images, audio, video). Zero stands for "none"."""

from collections.abc import Iterable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from llmrec.features.arrays import Floats, Floats32
from llmrec.features.asof.state import ItemState, UserState
from llmrec.features.families.text import dot, unit


def vector_length(name: str, parts: Iterable[pa.Array | pa.ChunkedArray]) -> int:
    """Of the column's vectors, 0 where there are none. Raises ValueError where they differ in length."""
    lengths = {n for part in parts for n in pc.unique(pc.drop_null(pc.list_value_length(part))).to_pylist()}
    if len(lengths) > 1:
        raise ValueError(f"items: {name}: found vectors of lengths {sorted(lengths)}, expected one length")
    return int(*lengths)


def vectors_in(column: pa.Array | pa.ChunkedArray, length: int | None = None) -> Floats32:
    """(n, length) of a column of lists of one length, which is theirs if left out; zero rows where it is null."""
    width = vector_length("vectors", [column]) if length is None else length
    vectors = np.zeros((len(column), width), np.float32)
    vectors[pc.is_valid(column).to_numpy(zero_copy_only=False)] = (
        pc.list_flatten(column).to_numpy(zero_copy_only=False).reshape(-1, width)
    )
    return vectors


def similarities(user: UserState, item: ItemState, span: slice) -> Floats:
    """(N, 2) cosines of the user's mean and of the last past item to the candidate; `user` has N rows or one."""
    theirs = unit(item.vectors[:, span])
    mine = unit(user.vectors[:, span]), unit(user.last_vectors[:, span])
    return np.column_stack([dot(one, theirs) for one in mine]).astype(np.float64)
