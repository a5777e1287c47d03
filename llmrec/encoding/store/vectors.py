"""Vectors as Arrow columns: float32, float16, or int8 with a scale a vector."""

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from llmrec.config.text.encoding import StorageDtype
from llmrec.schema import Column as C

_SCALE = "scale"


def encode_vectors(vectors: npt.NDArray[np.float32], dtype: StorageDtype) -> dict[str, pa.Array]:
    """(n, dim) float32 → the columns that hold them, `vector` being a fixed-size list.

    int8 keeps round(127 · v / max|v|) and the scale max|v| / 127 of each vector. Raises ValueError for values that are
    not finite or that float16 cannot hold.
    """
    if not np.isfinite(vectors).all():
        raise ValueError(f"{int((~np.isfinite(vectors)).any(axis=1).sum())} vectors are not finite; nothing was stored")
    if dtype == "int8":
        scale = np.abs(vectors).max(axis=1, initial=0) / 127
        rounded = np.rint(vectors / np.where(scale > 0, scale, 1)[:, None]).astype(np.int8)
        return {C.VECTOR: _fixed(rounded), _SCALE: pa.array(scale.astype(np.float32))}
    if dtype == "float16" and np.abs(vectors).max(initial=0) > np.finfo(np.float16).max:
        raise ValueError("float16 cannot hold these vectors; set encoding.storage_dtype to float32")
    return {C.VECTOR: _fixed(vectors.astype(dtype))}


def decode_vectors(table: pa.Table) -> npt.NDArray[np.float32]:
    """(n, dim) float32 from the columns of `encode_vectors`."""
    column = table.column(C.VECTOR).combine_chunks()
    column = pa.concat_arrays(column.chunks) if isinstance(column, pa.ChunkedArray) else column
    values = column.flatten().to_numpy(zero_copy_only=False)
    vectors = np.asarray(values.reshape(len(column), column.type.list_size), np.float32)
    if _SCALE in table.column_names:
        return np.asarray(vectors * table.column(_SCALE).to_numpy()[:, None], np.float32)
    return vectors


def _fixed(values: npt.NDArray[np.generic]) -> pa.FixedSizeListArray:
    return pa.FixedSizeListArray.from_arrays(pa.array(values.reshape(-1)), values.shape[1])
