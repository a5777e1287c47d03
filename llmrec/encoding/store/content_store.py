"""A store addressed by content: key → row, in immutable parts that any number of jobs read, write and compact at once.

Layout: `ROOT/FOLDER/PREFIX/DIGEST-BYTES.parquet`. PREFIX is the first one to three hex digits of the keys inside; how
many is each writer's choice, and a reader looks into every folder that prefixes its key.

A part is immutable. It is named by the hash of its bytes and by their number, and put as one, so that its name
is its commit record: a file of another length is no part yet and is not read. Two writers of one batch of equal bits
write the same name; of bits that differ, two names. Of equal keys in several parts the part with the smallest name
wins, for every reader alike. Nothing is ever renamed, locked or changed, and there is no common manifest to race for.
"""

import contextlib
import hashlib
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.fs as pafs
import pyarrow.parquet as pq

from llmrec.encoding.store.keys import Keys, bounds_of, column_keys, keys_array
from llmrec.encoding.store.parts import PartVanished, StorePart, is_whole, key_column
from llmrec.files import filesystem, write_bytes
from llmrec.schema import Column as C

log = logging.getLogger(__name__)

_ROW_GROUP = 4096
_TRIES = 5  # listings that a reader makes while compaction takes parts away


@dataclass(frozen=True)
class ContentStore:
    """Rows by key, of what one fingerprint makes of texts. Opening reads nothing; a store is a subclass that says where
    it lies and what its rows are."""

    root: str
    fingerprint: str
    _files: dict[str, pafs.FileSystem] = field(default_factory=dict, init=False, repr=False, compare=False)

    @property
    def uri(self) -> str:
        """The folder of all parts."""
        raise NotImplementedError

    def commit(self, keys: Sequence[str], made: Any, width: int = 1) -> None:
        """Store what a worker made of the texts of `keys`, (n,). Raises OSError; what was committed before stays."""
        raise NotImplementedError

    # ------------------------------------------------------------------ writing
    def put_rows(
        self, keys: Sequence[str], columns: Callable[[npt.NDArray[np.intp]], dict[str, pa.Array]], width: int
    ) -> None:
        """Commit n rows, one part a shard of `width` hex digits; `columns` gives those of some rows, in that order.

        Each part is there whole or not at all. Raises OSError where the storage is full or cannot be written.
        """
        prefixes = np.array([key[:width] for key in keys], dtype=str)
        raw = keys_array(keys)
        for prefix in np.unique(prefixes):
            rows = np.flatnonzero(prefixes == prefix)
            rows = rows[np.argsort(raw[rows], kind="stable")]
            self._put_part(str(prefix), pa.table({C.KEY: key_column(raw[rows]), **columns(rows)}))

    def _put_part(self, prefix: str, table: pa.Table) -> str:
        sink = pa.BufferOutputStream()
        pq.write_table(table, sink, compression="zstd", row_group_size=_ROW_GROUP, write_statistics=[C.KEY])
        data = sink.getvalue().to_pybytes()
        name = f"{hashlib.blake2b(data, digest_size=12).hexdigest()}-{len(data)}.parquet"
        write_bytes(f"{self.uri}/{prefix}/{name}", data)
        return name

    def compact(self, prefix: str, max_parts: int = 1) -> int:
        """Merge the parts of one shard where there are more than `max_parts`; returns how many went away.

        Safe beside readers, writers and other compactions: the merged part is there before any of its sources goes,
        a source is only taken away once all it holds lies elsewhere, and a reader that misses one lists again.
        """
        parts = self.parts(prefix)
        if len(parts) <= max_parts:
            return 0
        try:
            merged = self._put_part(prefix, self._merged(parts))
        except FileNotFoundError:
            return 0  # somebody else is at it
        gone = [part for part in parts if part.name != merged]
        for part in gone:
            with contextlib.suppress(FileNotFoundError):
                self._filesystem().delete_file(part.path)
        return len(gone)

    def _merged(self, parts: Sequence[StorePart]) -> pa.Table:
        tables = []
        for part in parts:
            with self._open(part) as file:
                tables.append(file.read())
        table = pa.concat_tables(tables)
        _, first = np.unique(column_keys(table), return_index=True)  # the first is the winner: parts come in its order
        return table.take(pa.array(first)).combine_chunks()

    # ------------------------------------------------------------------ reading
    def lookup(
        self, keys: Keys, columns: Sequence[str] | None = None
    ) -> Iterator[tuple[npt.NDArray[np.intp], pa.Table]]:
        """(rows of `keys` (m,), table (m,)) a part that holds any; a key comes once, from the winning part."""
        order = np.argsort(keys, kind="stable")
        wanted = keys[order]
        for prefix in self.prefixes():
            low, high = bounds_of(wanted, prefix)
            if low < high:
                for rows, table in self._lookup_shard(prefix, wanted[low:high], columns):
                    yield order[low + rows], table

    def _lookup_shard(
        self, prefix: str, wanted: Keys, columns: Sequence[str] | None
    ) -> Iterator[tuple[npt.NDArray[np.intp], pa.Table]]:
        missing = np.ones(len(wanted), np.bool_)
        for _ in range(_TRIES):
            try:
                for part in self.parts(prefix):
                    for rows, table in self._lookup_part(part, wanted, missing, columns):
                        missing[rows] = False
                        yield rows, table
                    if not missing.any():
                        return
                return
            except FileNotFoundError as vanished:
                log.debug("%s; listing the shard again", vanished)
        raise OSError(f"{self.uri}/{prefix}: parts went away during {_TRIES} listings; is somebody deleting the store?")

    def _lookup_part(
        self, part: StorePart, wanted: Keys, missing: npt.NDArray[np.bool_], columns: Sequence[str] | None
    ) -> Iterator[tuple[npt.NDArray[np.intp], pa.Table]]:
        with self._open(part) as file:
            for group in range(file.num_row_groups):
                held = column_keys(file.read_row_group(group, columns=[C.KEY]))
                at = np.minimum(np.searchsorted(held, wanted), len(held) - 1)  # parts are sorted by key
                rows = np.flatnonzero((held[at] == wanted) & missing)
                if len(rows):
                    yield (
                        rows,
                        file.read_row_group(group, columns=None if columns is None else [C.KEY, *columns]).take(
                            at[rows]
                        ),
                    )

    def _open(self, part: StorePart) -> pq.ParquetFile:
        try:
            return pq.ParquetFile(self._filesystem().open_input_file(part.path))
        except FileNotFoundError as error:
            raise PartVanished(f"{part.path} is gone") from error

    # ------------------------------------------------------------------ listing
    def prefixes(self) -> list[str]:
        """The shards that hold anything, in order."""
        infos = self._list(self.uri)
        return sorted(i.base_name for i in infos if i.type == pafs.FileType.Directory)

    def parts(self, prefix: str) -> list[StorePart]:
        """The whole parts of one shard, the winner of equal keys first."""
        infos = self._list(f"{self.uri}/{prefix}")
        whole = [
            StorePart(i.path, i.size) for i in infos if i.type == pafs.FileType.File and is_whole(i.base_name, i.size)
        ]
        return sorted(whole, key=lambda part: part.name)

    def _list(self, uri: str) -> list[pafs.FileInfo]:
        selector = pafs.FileSelector(filesystem(uri)[1], allow_not_found=True)
        return list(self._filesystem().get_file_info(selector))

    def _filesystem(self) -> pafs.FileSystem:
        if "fs" not in self._files:
            self._files["fs"] = filesystem(self.root)[0]
        return self._files["fs"]
