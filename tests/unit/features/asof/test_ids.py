"""Ids by row: order, look-ups, and that they travel as one Arrow array."""

import pickle

import numpy as np
import pyarrow as pa

from llmrec.features.asof.ids import Ids
from llmrec.schema import id_hash

NAMES = ["zoë", "", "Ada", "zoë", "b10", "b9", "🎸"]


def column(*values: str) -> pa.ChunkedArray:
    return pa.chunked_array([list(values[:2]), list(values[2:])], pa.string())


def test_they_are_the_sorted_set_behind_the_unknown() -> None:
    ids = Ids.of(column(*NAMES), column("c", "Ada"))
    expected = ["", *sorted({*NAMES, "c"} - {""})]
    assert list(ids) == expected and ids == expected and ids[1:] == expected[1:] and ids[-1] == expected[-1]
    assert len(ids) == 7 and "c" in ids and "d" not in ids
    assert ids.rows(["c", "nobody", "Ada", ""]).tolist() == [expected.index("c"), 0, expected.index("Ada"), 0]
    wide = column(*NAMES, "nobody")
    assert ids.rows_of(wide).tolist() == ids.rows(wide.to_pylist()).tolist()
    assert ids.take(np.array([2, 0, 2])).to_pylist() == [expected[2], "", expected[2]]
    assert pa.array(ids).to_pylist() == expected
    np.testing.assert_array_equal(id_hash(ids), id_hash(expected))


def test_they_travel_without_a_copy() -> None:
    ids = Ids([f"user{n}" for n in range(10_000)])
    ids.rows(["user7"])
    buffers: list[pickle.PickleBuffer] = []
    data = pickle.dumps(ids, protocol=5, buffer_callback=buffers.append)
    assert len(data) < 1_000 and sum(len(b.raw()) for b in buffers) > 80_000
    assert pickle.loads(data, buffers=buffers) == ids
