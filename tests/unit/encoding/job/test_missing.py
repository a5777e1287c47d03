"""What a corpus lacks is dealt whole: every grain once, little of it at a time towards the end."""

from pathlib import Path

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from llmrec.encoding.job.missing import GRAINS, Missing, batches, drop_known, find_missing, schedule_batches
from llmrec.encoding.store.embedding_store import EmbeddingStore
from llmrec.schema import Column as C
from llmrec.shuffle_files import write_batches, write_ranges


@given(st.lists(st.integers(0, 40), max_size=12), st.integers(1, 5))
def test_every_grain_is_dealt_once_and_in_order(sizes: list[int], actors: int) -> None:
    parts = [Missing(f"part{at}", n, {}) for at, n in enumerate(sizes)]
    items = schedule_batches(parts, actors)
    dealt = [(run["uri"], n) for item in items for run in item["runs"] for n in range(run["first"], run["last"])]
    assert dealt == [(part.uri, n) for part in parts for n in range(part.n_grains)]
    left = len(dealt)
    for item in items:
        held = sum(run["last"] - run["first"] for run in item["runs"])
        assert 1 <= held <= max(1, left / (2 * actors))
        left -= held


def test_a_large_corpus_is_dealt_in_about_as_many_items_as_a_middling_one() -> None:
    counts = [len(schedule_batches([Missing("part", n, {})] * 256, 2)) for n in (10, 10_000)]
    assert counts[1] <= 1.2 * counts[0] and counts[1] < 200


def test_batches_are_full_across_parts(tmp_path: Path) -> None:
    uris = [str(tmp_path / f"{name}.arrow") for name in "ab"]
    grains = [pa.table({C.KEY: [f"{n}"], C.TEXT: [f"text {n}"]}) for n in range(7)]
    write_batches(uris[0], grains[0].schema, grains[:3])
    write_batches(uris[1], grains[0].schema, grains[3:])
    runs = [{"uri": uris[0], "first": 1, "last": 3}, {"uri": uris[1], "first": 0, "last": 4}]
    found = [batch[C.KEY].to_pylist() for batch in batches(runs)]
    assert GRAINS == 4 and found == [["1", "2", "3", "4"], ["5", "6"]]


def test_a_part_lacks_what_the_store_does_not_hold(tmp_path: Path) -> None:
    store = EmbeddingStore(str(tmp_path / "store"), "encoder")
    keys = [f"{n:032x}" for n in (3, 1, 2)]
    one = np.ones(1, np.int32)
    store.put([keys[1]], np.ones((1, 2), np.float32), 5 * one, 2 * one)
    texts = pa.table({C.KEY: [*keys, keys[0]], C.TEXT: ["c", "a", "b", "c"]})
    write_ranges(str(tmp_path / "laid.arrow"), texts, np.zeros(4, np.int64), 2)
    missing = find_missing(store, [str(tmp_path / "laid.arrow")], 0, str(tmp_path / "missing.arrow"), 1)
    assert missing.n_grains == 2
    assert missing.sums == {"unique": 3, "hits": 1, C.N_TOKENS: 5, C.N_UNKNOWN: 2}
    (batch,) = batches(schedule_batches([missing], 1)[0]["runs"] + schedule_batches([missing], 1)[1]["runs"])
    assert batch.to_pydict() == {C.KEY: [keys[2], keys[0]], C.TEXT: ["b", "c"]}
    nothing = find_missing(store, [str(tmp_path / "laid.arrow")], 1, str(tmp_path / "none.arrow"), 1)
    assert (nothing.n_grains, nothing.sums["unique"]) == (0, 0) and not (tmp_path / "none.arrow").exists()
    assert drop_known(texts, store)[0][C.TEXT].to_pylist() == ["b", "c"]
