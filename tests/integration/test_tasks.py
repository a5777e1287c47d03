"""Tasks over Ray: order, progress, errors as they were, lost workers, a starved cluster, and tasks within tasks."""

import os
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import ray
from factories.cluster import all_cpus_held

from llmrec import tasks

ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])  # workers do not see the tests' folder
pytestmark = pytest.mark.usefixtures("ray_cluster")


def scaled(factor: np.ndarray, n: int) -> float:
    return float(factor[0] * n)


def fails(n: int) -> int:
    if n == 2:
        raise ValueError("number 2 is not liked")
    time.sleep(0.1)
    return n


def dies_once(marker: str) -> str:
    if not Path(marker).exists():
        Path(marker).touch()
        os._exit(1)
    return "second time"


def dies() -> None:
    os._exit(1)


def spreads() -> tuple[int, list[int]]:
    """Where it ran, and where its own cells did."""
    return os.getpid(), tasks.parallel_map(os.getpid, [(), ()], stage="test")


def test_answers_are_in_order_and_progress_is_told() -> None:
    told: list[int] = []
    held = tasks.remote_value(np.full, 10, 3.0, stage="test")
    assert isinstance(held, ray.ObjectRef)
    found = tasks.parallel_map(scaled, [(n,) for n in range(8)], (held,), told.append, stage="test")
    assert found == [3.0 * n for n in range(8)] and told == list(range(1, 9))
    assert tasks.parallel_map(scaled, [], (held,), stage="test") == []
    here = tasks.parallel_map(scaled, [(5,)], (np.ones(1),), stage="test", local=True)
    assert here == [5.0]


def test_an_error_is_the_cell_s_own() -> None:
    with pytest.raises(ValueError, match=r"^number 2 is not liked$"):
        tasks.parallel_map(fails, [(n,) for n in range(6)], stage="test")


def test_a_lost_worker_s_cell_runs_again(tmp_path: Path) -> None:
    assert tasks.parallel_map(dies_once, [(str(tmp_path / "marker"),)], stage="test") == ["second time"]


def test_workers_that_are_lost_each_time_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "RETRIES", 0)
    with pytest.raises(RuntimeError, match=r"^test: a task was lost with its worker 1 times, expected to finish"):
        tasks.parallel_map(dies, [()], stage="test")


def test_a_task_does_not_wait_for_tasks() -> None:
    """With all CPUs held by such as it, it would wait for ever."""
    for place, cells in tasks.parallel_map(spreads, [() for _ in range(5)], stage="test"):
        assert cells == [place, place] and place != os.getpid()


def test_a_starved_cluster_is_an_error_and_long_work_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "PATIENCE_S", 2.0)
    n_cpus = int(ray.cluster_resources()["CPU"])
    assert tasks.parallel_map(time.sleep, [(3,)] * n_cpus, stage="test") == [None] * n_cpus
    with (
        all_cpus_held(),
        pytest.raises(tasks.StarvedError, match=r"test stage has run for 2 s: 0\S* of the cluster's 2 logical CPUs"),
    ):
        tasks.parallel_map(scaled, [(np.ones(1), 1)], stage="test")
    monkeypatch.setattr(tasks, "PATIENCE_S", 120.0)  # the holders' CPUs come back when a busy machine gets to it
    assert tasks.parallel_map(scaled, [(np.ones(1), 1)], stage="test") == [1.0]
