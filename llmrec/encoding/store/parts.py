"""One immutable file of the store: its name, which is its commit record, and its table."""

from dataclasses import dataclass
from pathlib import PurePosixPath

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from llmrec.config.encoding import StorageDtype
from llmrec.encoding.store.keys import KEY_BYTES, Keys
from llmrec.encoding.store.vectors import encode_vectors
from llmrec.schema import Column as C


@dataclass(frozen=True)
class StorePart:
    """One immutable file of the store."""

    path: str
    bytes: int

    @property
    def name(self) -> str:
        return PurePosixPath(self.path).name


class PartVanished(FileNotFoundError):
    """A listed part is gone: somebody compacted the shard in between. List again."""


def part_table(
    keys: Keys,
    vectors: npt.NDArray[np.float32],
    n_tokens: npt.NDArray[np.int32],
    n_unknown: npt.NDArray[np.int32],
    dtype: StorageDtype,
) -> pa.Table:
    """The table of one part: `key` binary(16), the vector's columns in its storage type, `n_tokens`, `n_unknown`."""
    key_column = pa.FixedSizeBinaryArray.from_buffers(
        pa.binary(KEY_BYTES), len(keys), [None, pa.py_buffer(np.ascontiguousarray(keys).tobytes())]
    )
    columns: dict[str, pa.Array] = {C.KEY: key_column, **encode_vectors(vectors, dtype)}
    return pa.table(
        columns | {C.N_TOKENS: pa.array(n_tokens, pa.int32()), C.N_UNKNOWN: pa.array(n_unknown, pa.int32())}
    )


def is_whole(name: str, size: int | None) -> bool:
    """Whether a file of that length is a part: one of another length is not yet, or no longer."""
    stem, _, extension = name.partition(".")
    return extension == "parquet" and stem.rpartition("-")[2] == str(size)
