"""Ray Train: the weights of this process, of one worker and of two; a worker killed with -9 costs only time."""

import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch
from factories.tuning import sample_corpus, tiny_bert, tuning_config
from safetensors.torch import load_file

from llmrec.storage import Artifact, Storage
from llmrec.tuning import tune

pytestmark = [pytest.mark.usefixtures("ray_cluster"), pytest.mark.timeout(240)]


def run(root: Path, model: Path, **tuning: Any) -> Artifact:
    storage = Storage(str(root))
    mixed = {"objectives": {"contrastive": 1.0, "masked_language_model": 0.5, "stars": 0.5}, "validation_share": 0}
    config = tuning_config(model, root, **(mixed | {"steps": 10, "validate_every": 5, "learning_rate": 1e-4} | tuning))
    return tune(config, storage, sample_corpus(storage))


def furthest(left: Artifact, right: Artifact) -> float:
    one, two = (load_file(a.uri("model/model.safetensors")) for a in (left, right))
    assert one.keys() == two.keys()
    return max(float((one[name] - two[name]).abs().max()) for name in one)


def kill_a_worker(checkpoints: Path, killed: list[int]) -> None:
    """Once there is a checkpoint."""
    while not killed:
        workers = [p for p in psutil.Process().children(recursive=True) if "RayTrainWorker" in " ".join(_cmdline(p))]
        if workers and list(checkpoints.glob("*/checkpoint_*")):
            os.kill(workers[0].pid, signal.SIGKILL)
            killed.append(workers[0].pid)
        time.sleep(0.05)


def _cmdline(process: psutil.Process) -> list[str]:
    try:
        return list(process.cmdline())
    except psutil.Error:
        return []


def test_any_number_of_workers_and_a_killed_one_give_equal_weights(tmp_path: Path) -> None:
    model = tiny_bert(tmp_path / "tiny")
    here = run(tmp_path / "here", model)
    killed: list[int] = []
    watcher = threading.Thread(target=kill_a_worker, args=(tmp_path / "two" / "tuning_runs", killed), daemon=True)
    watcher.start()
    two = run(tmp_path / "two", model, workers=2, steps=10)
    assert killed and furthest(here, two) <= 1e-4
    frozen = load_file(str(model / "model.safetensors"))
    moved = load_file(two.uri("model/model.safetensors"))
    assert max(float((frozen[n] - moved[n]).abs().max()) for n in moved if n in frozen) > 5e-4
    assert torch.isfinite(torch.cat([w.flatten() for w in moved.values()])).all()


def test_what_cannot_be_used_is_said_by_a_worker_once(tmp_path: Path) -> None:
    model = tiny_bert(tmp_path / "tiny")
    with pytest.raises(ValueError, match="last_layers: found 9, expected at most 2"):
        run(tmp_path, model, workers=1, method="last_layers", last_layers=9)
    assert not list(tmp_path.glob("encoder/**/*.*")) and not list(tmp_path.glob("tuning_runs/*"))
