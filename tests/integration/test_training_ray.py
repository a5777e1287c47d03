"""Ray Train: the same answer as in this process, data-parallel workers, a worker killed with -9."""

import os
import signal
import threading
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch
from factories.features import World
from factories.training import Folds, folds, tiny_config

from llmrec.config import TrainingConfig
from llmrec.training.distributed import run_on_ray
from llmrec.training.fit import Plan, Progress, run_plan
from llmrec.training.stage import make_plan
from llmrec.workers.loop import TrainRun
from llmrec.workers.process_group import ProcessGroup

pytestmark = [pytest.mark.usefixtures("ray_cluster"), pytest.mark.timeout(240)]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Folds:
    return folds(tmp_path_factory.mktemp("ray_training"), World.random())


def plan_of(made: Folds, **training: object) -> tuple[Plan, TrainingConfig]:
    config = tiny_config(**training)
    return make_plan(config, made.validation, made.test, "text"), config.training


def train_workers() -> list[psutil.Process]:
    """The processes of Ray Train's workers on this machine, of this session's cluster only."""
    family = psutil.Process().children(recursive=True)
    return [p for p in family if "RayTrainWorker" in " ".join(_cmdline(p))]


def _cmdline(process: psutil.Process) -> list[str]:
    try:
        return list(process.cmdline())
    except psutil.Error:
        return []


@pytest.mark.slow  # a kill; that a run goes on after any epoch is shown in one process by test_training_fit
def test_a_worker_killed_mid_epoch_costs_nothing_but_time(made: Folds, tmp_path: Path) -> None:
    """Killed after some epoch's checkpoint; the run ends with the weights and curves of an undisturbed one."""
    plan, config = plan_of(made, workers=1, max_failures=2)
    killed: list[int] = []

    def kill() -> None:
        checkpoints = tmp_path / "runs" / "killed"
        while not killed:
            workers = train_workers()
            if workers and len(list(checkpoints.glob("checkpoint_*"))) > 0:
                os.kill(workers[0].pid, signal.SIGKILL)
                killed.append(workers[0].pid)
            time.sleep(0.05)

    thread = threading.Thread(target=kill, daemon=True)
    thread.start()
    variants = run_on_ray({"text": plan, "again": plan}, config, TrainRun(f"{tmp_path}/runs", "killed"))
    assert killed and list(variants) == ["text", "again"]
    torch.set_num_threads(1)  # as Ray Train's worker, so that sums are made in the same order
    whole = run_plan(plan, ProcessGroup(), {}, lambda p: None)
    for progress in variants.values():
        _same(progress, whole)


def _same(progress: Progress, whole: Progress) -> None:
    assert {k: len(s.curve) for k, s in progress.items()} == {k: len(s.curve) for k, s in whole.items()}
    for key, state in whole.items():
        assert [e["epoch"] for e in progress[key].curve] == list(range(1, len(state.curve) + 1))
        assert np.allclose([e["loss"] for e in progress[key].curve], [e["loss"] for e in state.curve], atol=1e-5)
        for name, weight in state.model.items():
            furthest = float((progress[key].model[name].float() - weight.float()).abs().max())
            assert furthest <= 1e-4, (key, name, furthest)


def test_two_workers_make_what_one_makes(made: Folds, tmp_path: Path) -> None:
    """By value, where the order of rows decides nothing: one step an epoch, no dropout. The rows do not divide evenly:
    no step hangs, no row is lost. (Towers see their own worker's negatives alone: they are only done, and finite.)"""
    ranker = {"name": "dcnv2", "embedding_dim": 4, "hidden": (16,), "epochs": 3, "batch_size": 10_000, "dropout": 0,
              "id_dropout": 0}  # fmt: skip
    plan, config = plan_of(made, workers=2, ranker=ranker)
    two = run_on_ray({"text": plan}, config, TrainRun(f"{tmp_path}/runs", "two"))["text"]
    one = run_plan(plan, ProcessGroup(), {}, lambda p: None)
    assert list(two) == [
        *(f"retriever.two_tower.{fold}" for fold in ("validation", "test")),
        "ranker.validation",
        "ranker.test",
    ]
    assert all(state.done and np.isfinite([e["loss"] for e in state.curve]).all() for state in two.values())
    _same(*({k: s for k, s in p.items() if k.startswith("ranker")} for p in (two, one)))
