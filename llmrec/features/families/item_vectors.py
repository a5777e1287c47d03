"""Feature families of the items' own vector columns (embeddings of images, audio, video). Zero stands for "none"."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from llmrec.features.arrays import Floats, Floats32
from llmrec.features.asof.state import ItemState, UserState
from llmrec.features.families.text import dot, unit
from llmrec.schema import VECTOR_PREFIX


def vector_columns(items: pa.Table) -> dict[str, Floats32]:
    """Column -> (n_items, dim) of each column `vector_NAME` that holds anything; zero rows where it is null.

    Raises ValueError where a column's vectors differ in length.
    """
    names = [column for column in items.column_names if column.startswith(VECTOR_PREFIX)]
    return {name: vectors_in(items[name]) for name in names if vector_length(name, [items[name]])}


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


@dataclass(frozen=True)
class VectorLayout:
    """Which of the M numbers of `vectors` belong to which column: `dims` are the columns' widths, in order."""

    dims: Mapping[str, int]

    def spans(self) -> dict[str, slice]:
        """Column -> its place."""
        ends = np.cumsum([0, *self.dims.values()]).tolist()
        return {name: slice(a, b) for name, a, b in zip(self.dims, ends[:-1], ends[1:], strict=True)}

    def with_presence(self, vectors: Floats32) -> Floats32:
        """(n, M) -> (n, M + columns): 1 behind them where a row has a column's vector."""
        flags = [vectors[:, span].any(axis=1, keepdims=True) for span in self.spans().values()]
        return np.concatenate([vectors, *flags], axis=1).astype(np.float32)

    def means(self, sums: Floats) -> Floats32:
        """(Q, M + columns) sums of such rows -> (Q, M) means of the rows that have the vector, zero without."""
        number = np.repeat(sums[:, sum(self.dims.values()) :], list(self.dims.values()), axis=1)
        return np.asarray(sums[:, : number.shape[1]] / np.maximum(number, 1), np.float32)


def similarities(user: UserState, item: ItemState, span: slice) -> Floats:
    """(N, 2) cosines of the user's mean and of the last past item to the candidate; `user` has N rows or one."""
    theirs = unit(item.vectors[:, span])
    mine = unit(user.vectors[:, span]), unit(user.last_vectors[:, span])
    return np.column_stack([dot(one, theirs) for one in mine]).astype(np.float64)
