"""What a comparison says, where the cut-off lies, and what is kept of turns."""

from pathlib import Path

import numpy as np
import pytest

from llmrec.config import RunConfig
from llmrec.config.serving.refresh import RefreshConfig
from llmrec.corpus.splits import cutoffs
from llmrec.live.event_log import open_event_log
from llmrec.refresh.book import Plan, RefreshBook, RefreshingError, only_one
from llmrec.refresh.compare import Asked, Comparison, compared
from llmrec.refresh.stages import TooFewError, split_of
from llmrec.storage import Storage

CONFIG = RunConfig(refresh=RefreshConfig(least_events=4))


def asked(n: int) -> Asked:
    return Asked([f"u{k}" for k in range(n)], [f"i{k}" for k in range(n)], np.arange(n))


def test_a_bound_is_a_share_of_what_the_other_reaches_and_is_held_by_the_lower_end() -> None:
    found = Comparison(0.096, 0.1, -0.006, -0.002, 500, 0.95)
    assert found.no_worse_than(0.06) and not found.no_worse_than(0.05)
    assert found.worse and found.difference == pytest.approx(-0.004)
    assert not Comparison(0.1, 0.1, -0.001, 0.001, 500, 0.95).worse


def test_the_difference_is_paired() -> None:
    rng = np.random.default_rng(0)
    noise = rng.random(4000)  # the same for both: it takes no part
    better = compared(noise + 0.01 + 0.001 * rng.standard_normal(4000), noise, asked(4000))
    assert 0.009 < better.low < 0.01 < better.high < 0.011
    same = compared(noise, noise, asked(4000))
    assert same.low == same.high == 0 and same.no_worse_than(0)
    one = compared(np.ones(1), np.zeros(1), asked(1))
    assert not one.no_worse_than(10) and not one.worse  # a single query says nothing


def test_the_newest_events_are_left_out_and_no_moment_is_cut() -> None:
    times = np.array([1, 2, 3, 4, 5, 6, 7, 7, 7, 8]) * 1000
    for n, left in ((2, 1), (4, 4), (5, 5), (3, 1)):
        config = CONFIG.model_copy(update={"refresh": RefreshConfig(least_events=1)})
        split = split_of(times[::-1], n, 0, config)
        assert int((times >= np.ceil(cutoffs(times, split).t2)).sum()) == left, n


def test_events_from_before_the_serving_bundles_cut_off_are_no_test() -> None:
    times = np.arange(100)
    assert int((times >= cutoffs(times, split_of(times, 50, 80, CONFIG)).t2).sum()) == 20
    with pytest.raises(TooFewError, match="0 of the newest events"):
        split_of(times, 50, 100, CONFIG)


def plan(turn: int) -> Plan:
    return Plan(turn=turn, bundle="b", log="l", through=turn, events=1, held={3: "item"}, waiting=[], logged=[],
                held_out=1, told={})  # fmt: skip


def test_a_turn_without_a_result_is_there_to_be_taken_up(tmp_path: Path) -> None:
    book = RefreshBook(Storage(str(tmp_path)), "run")
    assert book.turns() == []
    book.open(plan(1))
    assert book.turns() == [1] and book.plan(1) == plan(1) and book.result(1) is None
    book.close(1, {"because": "done"})
    assert book.result(1) == {"because": "done"}


def test_what_old_turns_made_is_deleted_but_what_is_needed(tmp_path: Path) -> None:
    book = RefreshBook(Storage(str(tmp_path)), "run")
    roots = {turn: {s: str(tmp_path / s / str(turn)) for s in ("corpus", "bundle")} for turn in (1, 2, 3)}
    for turn, made in roots.items():
        book.open(plan(turn))
        book.close(turn, {"made": made})
        for root in made.values():
            Path(root).mkdir(parents=True)
    book.forget(1, {roots[1]["bundle"]})
    left = {str(p) for stage in ("corpus", "bundle") for p in (tmp_path / stage).iterdir()}
    assert left == {roots[1]["bundle"], *roots[3].values()}


def test_there_is_one_refresh_at_a_time(tmp_path: Path) -> None:
    log = open_event_log(str(tmp_path / "log.sqlite"))
    with only_one(log), pytest.raises(RefreshingError, match="one at a time"), only_one(log):
        pass
    with only_one(log):
        pass
