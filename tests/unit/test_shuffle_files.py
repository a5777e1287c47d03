"""Rows laid out by range: every row arrives in its range, once, in order."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmrec.shuffle_files import read_batches, read_range, write_batches, write_ranges


@given(st.lists(st.lists(st.integers(0, 4), max_size=30), min_size=1, max_size=3))
def test_each_reader_gets_its_rows_of_every_writer(
    tmp_path_factory: pytest.TempPathFactory, writers: list[list[int]]
) -> None:
    folder = tmp_path_factory.mktemp("ranges")
    uris, tables = [], []
    for at, ranges in enumerate(writers):
        tables.append(
            pa.table(
                {
                    "range": pa.array(ranges, pa.int64()),
                    "row": pa.array([100 * at + n for n in range(len(ranges))], pa.int64()),
                }
            )
        )
        uris.append(f"{folder}/new/{at}.arrow")
        write_ranges(uris[-1], tables[-1], np.array(ranges, np.int64), 5)
    everything = pa.concat_tables(tables)
    for number in range(5):
        expected = everything.filter(pa.array(everything["range"].to_numpy() == number))
        assert read_range(uris, number).to_pylist() == expected.to_pylist()


def test_a_table_is_one_batch_even_where_it_is_empty(tmp_path: Path) -> None:
    whole = pa.concat_tables([pa.table({"n": [0, 1]}), pa.table({"n": [2]})])
    uri = str(tmp_path / "some.arrow")
    write_batches(uri, whole.schema, [whole, whole.slice(0, 0), whole.slice(1)])
    assert [batch.to_pydict() for batch in read_batches(uri, 0, 3)] == [{"n": [0, 1, 2]}, {"n": []}, {"n": [1, 2]}]
    assert [batch.num_rows for batch in read_batches(uri, 2, 3)] == [2]
