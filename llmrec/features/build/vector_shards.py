"""Vectors in shards, so that no process holds all of them: each shard is summed, and later reduced, by itself.

A shard of texts is a range of their keys, not of events: the embedding store lies in order of key, so that every part
of it is read for one shard alone. How many shards there are depends on training rows only, and what they give is added
in their order: the same bits on any number of CPUs, whatever happens after the cut-off.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from llmrec.encoding.store.embedding_store import Found
from llmrec.encoding.store.keys import KEY_BYTES, Keys
from llmrec.features.arrays import Floats32, Ints, read_arrays, write_arrays
from llmrec.features.families.item_vectors import vector_length, vectors_in
from llmrec.features.transforms.projection import CHUNK, Kind
from llmrec.files import filesystem
from llmrec.shuffle_files import read_range, write_ranges

#: Training rows of a shard, on average: with 384 dimensions their vectors take 50 MB.
SHARD_ROWS = 1 << 15


class VectorSource(Protocol):
    """Vectors by key: the embedding store, or what was read."""

    def find(self, keys: Keys) -> Found: ...


@dataclass(frozen=True)
class VectorShard:
    """Some rows of a kind, and where their vectors lie: in the embedding store, or in a column of an items file."""

    name: str  # of the reduction: TEXT, SEQUENCE, READING, vector_NAME
    kind: Kind
    uri: str  # before the names of its scratch files
    total: int  # rows that the reduction is fitted on, in all shards
    store: VectorSource | None = None
    keys_in: tuple[tuple[str, ...], int] = ((), 0)  # (files, range) that `write_keys` wrote
    column_of: tuple[str, int] = ("", 0)  # (file, row group)
    width: int = 0  # of the column's vectors

    def batches(self) -> Iterator[tuple[Ints, Ints, Floats32]]:
        """(numbers of rows (n,), ascending, places (n,), vectors (n, dim)), at most CHUNK at a time; zero: absent."""
        rows = read_arrays(f"{self.uri}.rows") if self.store is None else read_keys(*self.keys_in)
        vectors = self._of_column() if self.store is None else self._of_store(self.store, rows["keys"])
        at = 0
        for batch in vectors:
            some = slice(at, at + len(batch))
            yield rows["numbers"][some], rows["places"][some], batch
            at += len(batch)

    def _of_store(self, store: VectorSource, raw: npt.NDArray[np.uint8]) -> Iterator[Floats32]:
        keys, place = np.unique(raw.view(f"S{KEY_BYTES}").ravel(), return_inverse=True)  # often said is held once
        found = store.find(keys)
        for start in range(0, len(place) if found.present.any() else 0, CHUNK):
            yield found.vectors[place[start : start + CHUNK]]

    def _of_column(self) -> Iterator[Floats32]:
        for part in _column(self.name, *self.column_of):
            yield vectors_in(part, self.width)


def write_keys(uri: str, numbers: Ints, places: Ints, keys: Keys, n: int) -> None:
    """Rows that have a text, by n ranges of keys: their numbers, their places among those fitted on, and the keys."""
    raw = keys.view(np.uint8).reshape(len(keys), KEY_BYTES)
    head = np.ascontiguousarray(raw[:, :4]).view(">u4").ravel().astype(np.int64)
    binary = pa.FixedSizeBinaryArray.from_buffers(pa.binary(KEY_BYTES), len(keys), [None, pa.py_buffer(raw.tobytes())])
    write_ranges(uri, pa.table({"numbers": numbers, "places": places, "keys": binary}), (head * n) >> 32, n)


def read_keys(uris: Sequence[str], part: int) -> dict[str, npt.NDArray[Any]]:
    """One range of what `write_keys` wrote to all files: arrays in order of the numbers; keys (n, KEY_BYTES)."""
    rows = read_range(uris, part)
    numbers, places = (rows[name].to_numpy() for name in ("numbers", "places"))
    order = np.argsort(numbers, kind="stable")
    column = rows["keys"].combine_chunks()
    keys = np.frombuffer(column.buffers()[1], np.uint8)[column.offset * KEY_BYTES :][: len(column) * KEY_BYTES]
    keys = keys.reshape(len(numbers), KEY_BYTES)
    return {"numbers": numbers[order], "places": places[order], "keys": keys[order]}


def shards_of_column(name: str, uris: Sequence[str], places: Ints, total: int, folder: str) -> list[VectorShard]:
    """A shard for each row group of the items' files; none where nothing is in the column. `places` of all items.

    Raises ValueError where the column's vectors differ in length.
    """
    groups = [(uri, group, rows) for uri in uris for group, rows in enumerate(_row_groups(uri))]
    width = vector_length(name, (part for uri, group, _ in groups for part in _column(name, uri, group)))
    shards, start = list[VectorShard](), 0
    for uri, group, rows in groups if width else ():
        target = f"{folder}/{name}-item-{len(shards):05d}"
        shards.append(VectorShard(name, "item", target, total, column_of=(uri, group), width=width))
        numbers = np.arange(start, start := start + rows)
        write_arrays(f"{target}.rows", {"numbers": numbers, "places": places[numbers]})
    return shards


def _row_groups(uri: str) -> list[int]:
    """The rows of each row group of a file."""
    fs, path = filesystem(uri)
    with pq.ParquetFile(fs.open_input_file(path)) as file:
        return [file.metadata.row_group(group).num_rows for group in range(file.num_row_groups)]


def _column(name: str, uri: str, group: int) -> Iterator[pa.Array]:
    """A column of one row group, at most CHUNK rows at a time."""
    fs, path = filesystem(uri)
    with pq.ParquetFile(fs.open_input_file(path)) as file:
        for batch in file.iter_batches(CHUNK, row_groups=[group], columns=[name]):
            yield batch.column(0)
