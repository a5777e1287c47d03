"""The address of a text: what is stored is found by content, so that no text is paid for twice."""

import hashlib
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from llmrec.schema import Column as C

KEY_BYTES = 16
Keys = npt.NDArray[np.bytes_]  # (n,) of S16


def text_key(fingerprint: str, text: str) -> str:
    """32 hex digits of blake2b over the encoder's fingerprint and the exact text as encoded (prompt included)."""
    return hashlib.blake2b(f"{fingerprint}\0{text}".encode(), digest_size=KEY_BYTES).hexdigest()


def text_keys(fingerprint: str, texts: Sequence[str]) -> list[str | None]:
    """The keys of `texts`; None where there is nothing to encode."""
    return [text_key(fingerprint, text) if text else None for text in texts]


def prefix_width(n_texts: int, per_shard: int = 4096) -> int:
    """Hex digits of a key that name its shard: the fewest (1 to 3) that keep a shard near `per_shard` texts."""
    return next((width for width in (1, 2) if n_texts <= per_shard * 16**width), 3)


def keys_array(keys: Sequence[str]) -> Keys:
    """(n,) S16 of hex keys. Note that numpy compares S16 without trailing zero bytes; equality is not affected."""
    data = bytes.fromhex("".join(keys))
    if len(data) != KEY_BYTES * len(keys):
        raise ValueError(f"keys must have {2 * KEY_BYTES} hex digits each")
    return np.frombuffer(data, dtype=f"S{KEY_BYTES}")


def column_keys(table: pa.Table) -> Keys:
    """(n,) S16 of the table's key column."""
    column = table.column(C.KEY).combine_chunks()
    column = column.chunk(0) if isinstance(column, pa.ChunkedArray) else column
    start = column.offset * KEY_BYTES
    data = column.buffers()[1].to_pybytes()[start : start + len(column) * KEY_BYTES] if len(column) else b""
    return np.frombuffer(data, dtype=f"S{KEY_BYTES}")


def bounds_of(wanted: Keys, prefix: str) -> tuple[int, int]:
    """The range of sorted `wanted` whose hex form starts with `prefix`."""
    digits = 2 * KEY_BYTES
    first, last = bytes.fromhex(prefix.ljust(digits, "0")), bytes.fromhex(prefix.ljust(digits, "f"))
    low = int(np.searchsorted(wanted, np.array(first, dtype=wanted.dtype), side="left"))
    return low, int(np.searchsorted(wanted, np.array(last, dtype=wanted.dtype), side="right"))
