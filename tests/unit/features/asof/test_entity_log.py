"""A log written range by range: the bits of one in memory, whatever is cut, and whatever is written twice."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmrec.config import FeaturesConfig
from llmrec.features.asof.events import BLOCK, EntityEvents
from llmrec.features.asof.logs.entity_log import VECTORS, EntityLog, load_events, save_events
from llmrec.features.build.log_ranges import EventRanges, propagate_carry, write_range
from llmrec.schema import DAY_MS

SETTINGS = FeaturesConfig(popularity_days=(30.0,))


def made(n: int, n_entities: int, seed: int = 0) -> tuple[EntityEvents, np.ndarray, np.ndarray]:
    """Events, their stars and their vectors, in order of events; entity 1 has half of them, entity 0 none."""
    rng = np.random.default_rng(seed)
    rows = np.where(rng.random(n) < 0.5, 1, rng.integers(1, n_entities + 1, n))
    times = np.sort(rng.integers(0, 3_000, n)) * DAY_MS
    stars = rng.choice(np.array([1, 2, 4, 5, np.nan], np.float32), n)
    return EntityEvents.of(rows, times, n_entities + 1), stars, rng.normal(size=(n, 4)).astype(np.float32)


def written(
    folder: Path, events: EntityEvents, stars: np.ndarray, vectors: np.ndarray, size: int, times: int
) -> EntityLog:
    """The log as the stage writes it; every task is run `times` times, as after a lost worker."""
    mine, scratch = str(folder / "log"), str(folder / "scratch")
    save_events(mine, events, stars[events.order])
    ranges = EventRanges.of(events, size)
    for _ in range(times):
        for number in reversed(range(len(ranges))):  # tasks end in any order
            some = slice(*ranges.bounds[number : number + 2])
            rows = {VECTORS: vectors[events.order][some]}
            write_range(mine, scratch, ranges, number, events.moments, rows, SETTINGS, lambda events: None)
    for _ in range(times):
        for chain in ranges.chains():
            propagate_carry(mine, scratch, ranges, chain, events.moments, SETTINGS, lambda events: None)
    return EntityLog.load(mine, events.moments, len(ranges), (VECTORS,), SETTINGS, lambda events: None)


@given(n=st.integers(0, 700), n_entities=st.integers(1, 9), size=st.sampled_from([BLOCK, 2 * BLOCK + 5, 300, 1_000]))
@settings(max_examples=25, deadline=None)
def test_any_ranges_give_the_sums_of_one_process(
    tmp_path_factory: pytest.TempPathFactory, n: int, n_entities: int, size: int
) -> None:
    events, stars, vectors = made(n, n_entities)
    whole = written(tmp_path_factory.mktemp("whole"), events, stars, vectors, 10**6, 1)
    log = written(tmp_path_factory.mktemp("log"), events, stars, vectors, size, 1)
    assert log.sums.keys() == whole.sums.keys()
    for name, sums in whole.sums.items():
        np.testing.assert_array_equal(log.sums[name].stored.whole(), sums.stored.whole(), err_msg=name)
    np.testing.assert_array_equal(log.rows[VECTORS].whole(), whole.rows[VECTORS].whole())


def test_what_a_lost_worker_began_is_written_again(tmp_path: Path) -> None:
    events, stars, vectors = made(600, 5)
    assert max(map(len, EventRanges.of(events, 64).chains())) >= 4
    once, twice = (written(tmp_path / str(k), events, stars, vectors, 64, k) for k in (1, 2))
    for name, sums in once.sums.items():
        np.testing.assert_array_equal(twice.sums[name].stored.whole(), sums.stored.whole(), err_msg=name)


def test_rows_are_found_across_parts(tmp_path: Path) -> None:
    events, stars, vectors = made(500, 4)
    rows = written(tmp_path, events, stars, vectors, 64, 1).rows[VECTORS]
    assert len(rows.parts) > 5
    asked = np.random.default_rng(0).integers(0, 500, (30, 3))
    expected = vectors[events.order][asked]
    np.testing.assert_array_equal(rows.take(asked), expected)
    np.testing.assert_array_equal(rows.take(asked, [2, 0]), expected[..., [2, 0]])
    assert rows.take(asked[:0]).shape == (0, 3, 4)


def test_events_are_mapped_and_read_only(tmp_path: Path) -> None:
    events, stars, _ = made(100, 3)
    save_events(str(tmp_path), events, stars[events.order])
    loaded, given_stars = load_events(str(tmp_path), events.moments)
    for array in (loaded.order, loaded.keys, given_stars):
        assert isinstance(array.base, np.memmap) and not array.flags.writeable
