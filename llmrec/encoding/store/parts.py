"""One immutable file of the store: its name, which is its commit record, and its keys."""

from dataclasses import dataclass
from pathlib import PurePosixPath

import numpy as np
import pyarrow as pa

from llmrec.encoding.store.keys import KEY_BYTES, Keys


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


def key_column(keys: Keys) -> pa.Array:
    """(n,) binary(16)."""
    data = pa.py_buffer(np.ascontiguousarray(keys).tobytes())
    return pa.FixedSizeBinaryArray.from_buffers(pa.binary(KEY_BYTES), len(keys), [None, data])


def is_whole(name: str, size: int | None) -> bool:
    """Whether a file of that length is a part: one of another length is not yet, or no longer."""
    stem, _, extension = name.partition(".")
    return extension == "parquet" and stem.rpartition("-")[2] == str(size)
