"""Splits: sides are disjoint, whole, in time, and never silently empty."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmrec.config import RunConfig, SplitConfig
from llmrec.corpus import ingest, splits
from llmrec.storage import Storage

DAY = 86_400_000


@given(st.lists(st.integers(0, 10**12), min_size=30, max_size=80, unique=True))
def test_cutoffs_part_the_events_in_time(times: list[int]) -> None:
    timestamps = np.array(times, np.int64)
    sides = splits.cutoffs(timestamps, SplitConfig()).masks(timestamps)
    assert (sides.train.astype(int) + sides.validation + sides.test == 1).all()
    assert timestamps[sides.train].max() < timestamps[sides.validation].min()
    assert timestamps[sides.validation].max() < timestamps[sides.test].min()


def test_equal_times_fall_on_one_side() -> None:
    timestamps = np.repeat(np.arange(10) * DAY, 10)
    cut = splits.cutoffs(timestamps, SplitConfig())
    assert (cut.t1, cut.t2) == pytest.approx((np.quantile(timestamps, 0.8), np.quantile(timestamps, 0.9)))
    sides = cut.masks(timestamps)
    for side in (sides.train, sides.validation, sides.test):
        assert side.sum() % 10 == 0


@pytest.mark.parametrize("timestamps", [[], [5] * 100, [1] * 10 + [2]])
def test_an_empty_side_is_refused_with_counts_and_a_remedy(timestamps: list[int]) -> None:
    with pytest.raises(ValueError, match=r"found 0 events|train \d+, validation \d+, test \d+.*validation_quantile"):
        splits.cutoffs(np.array(timestamps, np.int64), SplitConfig())


EVENTS = st.lists(
    st.tuples(st.integers(0, 5), st.integers(0, 3), st.integers(0, 2**64 - 1)), min_size=2, unique_by=lambda e: e[2]
)


@given(EVENTS)
def test_the_last_event_is_last_by_time_then_event_order(events: list[tuple[int, int, int]]) -> None:
    users, times = (np.array([e[k] for e in events], np.int64) for k in (0, 1))
    order = np.array([e[2] for e in events], np.uint64)
    by_user: dict[int, list[int]] = {}
    for row in sorted(range(len(events)), key=lambda r: (times[r], order[r])):
        by_user.setdefault(int(users[row]), []).append(row)
    test = {rows[-1] for rows in by_user.values() if len(rows) > 1}
    validation = {rows[-2] for rows in by_user.values() if len(rows) > 2}
    if not test:
        with pytest.raises(ValueError, match="leave_last_out"):
            splits.leave_last_out(users, times, order)
        return
    sides = splits.leave_last_out(users, times, order)
    assert set(np.flatnonzero(sides.test).tolist()) == test
    assert set(np.flatnonzero(sides.validation).tolist()) == validation
    assert (sides.train == ~(sides.test | sides.validation)).all()


def test_random_shares_hold_for_every_user_and_follow_the_seed() -> None:
    users = np.repeat(np.arange(50), np.arange(1, 51))
    config = SplitConfig(validation_quantile=0.5, test_quantile=0.75)
    sides = splits.random_per_user(users, config, seed=3)
    assert (sides.train.astype(int) + sides.validation + sides.test == 1).all()
    for user in range(50):
        mine = users == user
        for side, share in ((sides.train, 0.5), (sides.validation, 0.25), (sides.test, 0.25)):
            assert abs(side[mine].sum() - share * (user + 1)) < 1
    assert (sides.test == splits.random_per_user(users, config, seed=3).test).all()
    assert (sides.test != splits.random_per_user(users, config, seed=4).test).any()


def test_the_real_corpus_is_read_whole_and_cut_where_the_reference_cuts(data_folder: Path, tmp_path: Path) -> None:
    path = str(data_folder / "reviews_Musical_Instruments_5.json.gz")
    corpus = ingest(
        RunConfig.model_validate({"corpus": {"source": "amazon", "reviews": [path]}}), Storage(str(tmp_path))
    )
    info = corpus.manifest.info
    assert corpus.manifest.counts["rows_in"] == corpus.manifest.counts["rows_out"] == 10_261
    assert (info["users"], info["items"], info["empty_texts"], info["whole_day_share"]) == (1_429, 900, 7, 1.0)
    reviews = corpus.table("reviews")
    timestamps = reviews.column("timestamp").to_numpy()
    cut = splits.cutoffs(timestamps, SplitConfig())
    # the reference's own lines: quantiles of the times in seconds, and `df.t >= t2` for its 1,032 queries
    assert cut.t1 == np.quantile(timestamps // 1000, 0.8) * 1000
    assert cut.masks(timestamps).test.sum() == 1_032
    users = reviews.column("user_id").to_pandas().astype("category").cat.codes.to_numpy(np.int64)
    sides = splits.leave_last_out(users, timestamps, reviews.column("event_order").to_numpy())
    assert sides.test.sum() == 1_429
