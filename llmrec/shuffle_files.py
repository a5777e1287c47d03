"""Rows on their way from many writers to many readers: a file a writer, in it one Arrow batch a range.

A reader fetches its own range from every file and nothing else, so that neither the driver nor any process holds all
rows, and what is under way may be larger than the memory of the cluster. Scratch: whoever wrote it takes it away.
"""

from collections.abc import Iterable, Iterator
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.fs as pafs

from llmrec.files import filesystem


def write_ranges(uri: str, table: pa.Table, ranges: npt.NDArray[np.int64], n_ranges: int) -> None:
    """Write (n,) rows by their range, 0 to `n_ranges` - 1; rows of a range keep their order."""
    order = np.argsort(ranges, kind="stable")
    bounds = np.searchsorted(ranges[order], np.arange(n_ranges + 1))
    table = table.combine_chunks()
    write_batches(uri, table.schema, (table.take(pa.array(order[a:b])) for a, b in pairwise(bounds)))


def write_batches(uri: str, schema: pa.Schema, tables: Iterable[pa.Table]) -> None:
    """Write each table as exactly one batch, also where it is empty."""
    fs, path = writable(uri)
    with fs.open_output_stream(path) as sink, pa.ipc.new_file(sink, schema) as writer:
        for table in tables:
            writer.write_batch(_batch(table))


def read_range(uris: Iterable[str], number: int) -> pa.Table:
    """The rows of one range, of every file in order."""
    return pa.Table.from_batches([batch for uri in uris for batch in read_batches(uri, number, number + 1)])


def read_batches(uri: str, first: int, last: int) -> Iterator[pa.RecordBatch]:
    """The batches `first` to `last` - 1 of one file, one at a time."""
    fs, path = filesystem(uri)
    with fs.open_input_file(path) as source:
        file = pa.ipc.open_file(source)
        for number in range(first, last):
            yield file.get_batch(number)


def writable(uri: str) -> tuple[pafs.FileSystem, str]:
    """`filesystem` of a file to be written; its folder is there afterwards."""
    fs, path = filesystem(uri)
    fs.create_dir(path.rsplit("/", 1)[0], recursive=True)
    return fs, path


def _batch(table: pa.Table) -> pa.RecordBatch:
    batches = table.combine_chunks().to_batches()
    return batches[0] if batches else pa.RecordBatch.from_pylist([], schema=table.schema)
