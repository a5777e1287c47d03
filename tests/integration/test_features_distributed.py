"""As-of profiles over Ray equal the in-memory History, also for entities that span many ranges."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from llmrec.features.asof.history import History
from llmrec.features.asof.history_data import event_sort
from llmrec.features.asof.profiles import COUNT, EVENT, MEAN_STARS, PROFILE, vectors_of
from llmrec.features.asof.state import TEXT_VARIANTS
from llmrec.features.build.profile_export import as_of_profiles
from llmrec.schema import DAY_MS, ITEMS, REVIEWS, event_order
from llmrec.schema import Column as C

N, DIM = 3_000, 5


def corpus() -> tuple[pa.Table, np.ndarray]:
    """Reviews in order of events; item `i0` has half of them, and many times tie."""
    rng = np.random.default_rng(0)
    users = [f"u{u}" for u in rng.integers(0, 200, N)]
    items = [f"i{i}" for i in np.where(rng.random(N) < 0.5, 0, rng.integers(1, 80, N))]
    reviews = pa.table(
        {
            C.REVIEW_ID: [str(k) for k in range(N)],
            C.USER_ID: users,
            C.ITEM_ID: items,
            C.TIMESTAMP: rng.integers(0, 300, N) * DAY_MS,
            C.EVENT_ORDER: event_order(users, items),
            C.STARS: pa.array(rng.integers(1, 6, N).astype(np.float32), mask=rng.random(N) < 0.1),
            C.TITLE: pa.nulls(N, pa.string()),
            C.TEXT: pa.nulls(N, pa.string()),
        },
        schema=REVIEWS,
    )
    vectors = rng.normal(size=(N, DIM)).astype(np.float32) * (rng.random((N, 1)) > 0.1)
    order = event_sort(reviews)
    return reviews.take(order).combine_chunks(), vectors[order]


def write_inputs(folder: Path, reviews: pa.Table, vectors: np.ndarray) -> list[str]:
    """Shuffled over three files, so that no file is in any order."""
    table = reviews.select([C.USER_ID, C.ITEM_ID, C.TIMESTAMP, C.STARS])
    table = table.append_column(EVENT, pa.array(np.arange(N)))
    table = table.append_column(C.VECTOR, pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), DIM))
    files = []
    for number, part in enumerate(np.array_split(np.random.default_rng(1).permutation(N), 3)):
        files.append(str(folder / f"{number}.parquet"))
        pq.write_table(table.take(pa.array(part)), files[-1], row_group_size=100)
    return files


@pytest.mark.parametrize("range_events", [150, 10_000])
def test_distributed_profiles_equal_the_history(ray_cluster: None, tmp_path: Path, range_events: int) -> None:
    reviews, vectors = corpus()
    inputs = write_inputs(tmp_path, reviews, vectors)
    written = as_of_profiles(inputs, str(tmp_path / "out"), str(tmp_path / "scratch"), range_events=range_events)
    assert written == {C.USER_ID: N, C.ITEM_ID: N}
    history = History.build(reviews, ITEMS.empty_table(), vectors)
    states = {
        C.USER_ID: history.users_at(history.data.user_rows, history.data.times),
        C.ITEM_ID: history.items_at(history.data.item_rows, history.data.times),
    }
    for side, state in states.items():
        parts = sorted((tmp_path / "out" / side).iterdir())
        assert len(parts) > 5 or range_events > N
        rows = pq.read_table(tmp_path / "out" / side).sort_by(EVENT)
        assert rows[EVENT].to_pylist() == list(range(N))
        assert rows[COUNT].to_pylist() == state.count.tolist()
        mean_stars = state.stars[:, 1] / np.maximum(state.stars[:, 0], 1)
        np.testing.assert_allclose(rows[MEAN_STARS].to_numpy(), mean_stars, rtol=1e-6)
        profile = state.text[:, TEXT_VARIANTS.index("mean")]
        np.testing.assert_allclose(vectors_of(rows[PROFILE]), profile, rtol=0, atol=1e-6)


def test_an_entity_reaches_over_ranges(ray_cluster: None, tmp_path: Path) -> None:
    """The carry is real: without it, the heavy item's count would start anew in each part."""
    reviews, vectors = corpus()
    inputs = write_inputs(tmp_path, reviews, vectors)
    as_of_profiles(inputs, str(tmp_path / "out"), str(tmp_path / "scratch"), range_events=150)
    heavy = {n for n, item in enumerate(reviews[C.ITEM_ID].to_pylist()) if item == "i0"}
    parts = [pq.read_table(p) for p in sorted((tmp_path / "out" / C.ITEM_ID).iterdir())]
    holding = [p for p in parts if heavy & set(p[EVENT].to_pylist())]
    assert len(holding) >= 5
    largest = max(max(p[COUNT].to_pylist()) for p in holding)
    assert largest > 1_300
