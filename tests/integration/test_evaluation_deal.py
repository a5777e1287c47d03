"""Blocks of queries answered by a Ray cluster: to the bit what this process alone would answer."""

import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
import ray
import ray.cloudpickle

from llmrec.config import SplitConfig
from llmrec.evaluation.data.folds import Fold
from llmrec.evaluation.evaluation_run import load_interactions
from llmrec.evaluation.ranking import block_runner as distributed
from llmrec.evaluation.ranking.baselines import Settings, WithFallback, fit_data, make
from llmrec.evaluation.ranking.block_runner import Columns, deal, over_cluster
from llmrec.evaluation.ranking.evaluator import BlockEvaluator, Catalogue, EvalTask
from llmrec.evaluation.ranking.our_models import Variant
from llmrec.evaluation.ranking.protocol_tables import make_splits
from llmrec.evaluation.ranking.ranking_model import RankingModel
from llmrec.evaluation.ranking.topk import in_order
from llmrec.models.topk import blocks
from llmrec.pipeline import Run


@pytest.fixture(scope="module")
def run(small_run: Run) -> Run:
    return small_run


@pytest.fixture(scope="module")
def fold(run: Run) -> Fold:
    early = run.config.model_copy(update={"split": SplitConfig(validation_quantile=0.2, test_quantile=0.3)})
    (split,) = make_splits(load_interactions(run.artifacts["corpus"]), early, "temporal")
    assert len(split.test.queries) > 600  # more than one block
    return split.test


def both_ways(respondent: RankingModel, fold: Fold, n_models: int = 1) -> tuple[list[Columns], list[Columns]]:
    vectors = np.random.default_rng(0).standard_normal((fold.data.n_items, 8)).astype(np.float32)
    work = BlockEvaluator(respondent, EvalTask(fold, Catalogue.of(fold, vectors), (5, 20), 30), n_models)
    assert len(work.parts) > 1
    return list(in_order(work.open(), work.parts, work.threads)), list(over_cluster(work, work.parts))


def check(here: list[Columns], there: list[Columns], n_models: int = 1) -> None:
    for a, b in zip(here, there, strict=True):
        assert set(a) == set(b) and len(a) >= 20 * n_models
        for name, values in a.items():
            assert values.dtype == b[name].dtype
            np.testing.assert_array_equal(values, b[name], err_msg=name)
    assert here[0]["0.items"].dtype == np.int32 and here[0]["0.scores"].dtype == np.float32


@pytest.mark.parametrize("variant", ["text", "no_text"])
def test_our_arm_answers_the_same_there(run: Run, fold: Fold, variant: str) -> None:
    model = Variant.load(variant, 7, run.artifacts[f"bundle.{variant}"], fold.data, 30)
    here, there = both_ways(model, fold, 2)
    check(here, there, 2)
    assert any((c["0.items"] != c["1.items"]).any() for c in here)  # ranked and retrieved alone


@pytest.mark.parametrize(
    ("name", "settings"),
    [("recent_popularity", {"decay_days": 30}), ("item_knn", {}), ("ials", {"factors": 8}), ("boosted", {}),
     ("ncf", {"dim": 4, "epochs": 2})],
)  # fmt: skip
def test_a_baseline_answers_the_same_there(fold: Fold, name: str, settings: Settings, ray_cluster: None) -> None:
    model = make(name, settings)
    model.fit(fit_data(fold, None, 7))
    check(*both_ways(WithFallback(model, 90.0), fold))


ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])  # workers do not know the tests


@dataclass(frozen=True)
class Numbers:
    """Says which process answered; fails, if asked to, anywhere but in the process that made it."""

    fails_there: bool = False
    fails_to_load: bool = False
    fails_from: int = 1_000
    threads: int = 1
    home: int = field(default_factory=os.getpid)

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        if self.fails_to_load:
            raise ModuleNotFoundError("a worker without the code")

    @property
    def parts(self) -> Sequence[slice]:
        return blocks(40, 1, 10)

    def open(self) -> Callable[[slice], Columns]:
        def answer(rows: slice) -> Columns:
            if (self.fails_there and os.getpid() != self.home and rows.start >= 20) or rows.start >= self.fails_from:
                raise ValueError(f"no answer to {rows.start}")
            return {"number": np.arange(rows.start, rows.stop), "process": np.full(10, os.getpid())}

        return answer


@pytest.fixture
def many(monkeypatch: pytest.MonkeyPatch, ray_cluster: None) -> None:
    """All work is long work, and the cluster has CPUs."""
    monkeypatch.setattr(distributed, "_WORTH_S", 0.0)
    monkeypatch.setattr(distributed, "_free_cpus", lambda: 4.0)


def asked(work: Numbers) -> tuple[list[int], list[bool]]:
    """(numbers, whether each block was answered here)."""
    found = list(deal(work))
    return np.concatenate([c["number"] for c in found]).tolist(), [c["process"][0] == os.getpid() for c in found]


def test_long_work_goes_to_the_cluster_and_comes_back_in_order(many: None) -> None:
    assert asked(Numbers()) == (list(range(40)), [True, False, False, False])


def test_short_work_and_work_without_free_cpus_stay_here(many: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distributed, "_free_cpus", lambda: 1.0)
    assert asked(Numbers()) == (list(range(40)), [True] * 4)
    monkeypatch.setattr(distributed, "_free_cpus", lambda: 4.0)
    monkeypatch.setattr(distributed, "_WORTH_S", 20.0)
    assert asked(Numbers()) == (list(range(40)), [True] * 4)


def test_where_the_cluster_fails_this_process_answers_the_rest_once(
    many: None, caplog: pytest.LogCaptureFixture
) -> None:
    numbers, here = asked(Numbers(fails_there=True))
    assert numbers == list(range(40)) and here[-2:] == [True, True]
    assert "this process answers the rest" in caplog.text and "no answer to 20" in caplog.text


def test_work_that_no_worker_can_load_is_done_here(many: None, caplog: pytest.LogCaptureFixture) -> None:
    assert asked(Numbers(fails_to_load=True)) == (list(range(40)), [True] * 4)
    assert "this process answers the rest" in caplog.text and "a worker without the code" in caplog.text


def test_an_error_of_the_model_itself_is_raised_as_it_is(many: None) -> None:
    with pytest.raises(ValueError, match=r"^no answer to 20$"):
        asked(Numbers(fails_from=20))


def test_free_cpus_are_those_that_exist_and_that_nobody_holds(ray_cluster: None) -> None:
    free = distributed._free_cpus()
    assert 0 < free <= (os.cpu_count() or 1)

    @ray.remote(num_cpus=ray.cluster_resources()["CPU"])
    class Holder:
        def here(self) -> bool:
            return True

    holder = Holder.remote()  # type: ignore[attr-defined]
    assert ray.get(holder.here.remote())
    assert distributed._free_cpus() == 0
    ray.kill(holder)
