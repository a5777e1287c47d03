"""Ray Train around `fit.run_plans`: workers, checkpoints, resume. The only module of training that imports Ray."""

import logging
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray.train
import ray.train.torch

from llmrec.config import TrainingConfig
from llmrec.files import filesystem
from llmrec.models.networks.process_group import ProcessGroup
from llmrec.training.fit import Plan, Progress, dump, parse, run_plans

logger = logging.getLogger(__name__)
_FILE = "progress.pt"


@dataclass(frozen=True)
class TrainRun:
    """A run's folder and its name there: a run of the same name goes on from the last checkpoint."""

    folder: str  # URI that every node reads and writes
    name: str


def run_on_ray(plans: Mapping[str, Plan], config: TrainingConfig, run: TrainRun) -> dict[str, Progress]:
    """Run the plans, by variant, on `config.workers` data-parallel workers, which are started once for all of them.

    A worker that dies is replaced, `config.max_failures` times in all, and the fit goes on after the last whole epoch.
    So it does when the job itself was killed and is run again: the checkpoints stay until the caller deletes them.
    """
    # The controller takes a report in at its next look at the workers, by default 2 s later: longer than a short epoch.
    os.environ.setdefault("RAY_TRAIN_HEALTH_CHECK_INTERVAL_S", "0.1")
    fs, path = filesystem(run.folder)
    trainer = ray.train.torch.TorchTrainer(
        _worker,
        train_loop_config={"plans": dict(plans)},
        scaling_config=ray.train.ScalingConfig(num_workers=config.workers, use_gpu=config.gpu),
        run_config=ray.train.RunConfig(
            name=run.name, storage_path=path, storage_filesystem=fs,
            failure_config=ray.train.FailureConfig(max_failures=config.max_failures),
            checkpoint_config=ray.train.CheckpointConfig(num_to_keep=1),
        ),
    )  # fmt: skip
    result = trainer.fit()
    if result.checkpoint is None:
        raise RuntimeError(f"training {run.name}: Ray Train returned no checkpoint, expected one after each epoch")
    return _read(result.checkpoint)


def _worker(settings: dict[str, Any]) -> None:
    context = ray.train.get_context()
    device = str(ray.train.torch.get_device())
    group = ProcessGroup(context.get_world_rank(), context.get_world_size(), device)
    checkpoint = ray.train.get_checkpoint()
    progress = {} if checkpoint is None else _read(checkpoint)
    before = _epochs(progress)
    if before:
        logger.info("resuming after epochs %s", before)
    run_plans(settings["plans"], group, progress, lambda p: _report(p, group))
    if before and _epochs(progress) == before:
        _report(progress, group)  # the job died between the last epoch and reading its result


def _epochs(progress: dict[str, Progress]) -> dict[str, int]:
    return {f"{variant}.{key}": state.epoch for variant, states in progress.items() for key, state in states.items()}


def _report(progress: dict[str, Progress], group: ProcessGroup) -> None:
    """A barrier: every worker takes part; rank 0 brings metrics and checkpoint."""
    variant, states = list(progress.items())[-1]
    key, state = list(states.items())[-1]
    metrics = {"fit": f"{variant}.{key}", **state.curve[-1]}
    if group.rank:
        ray.train.report(metrics)
        return
    logger.info("%s", " ".join(f"{k} {v:.4g}" if isinstance(v, float) else f"{v}" for k, v in metrics.items()))
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / _FILE).write_bytes(dump(progress))
        ray.train.report(metrics, checkpoint=ray.train.Checkpoint.from_directory(folder))


def _read(checkpoint: ray.train.Checkpoint) -> dict[str, Progress]:
    with checkpoint.as_directory() as folder:
        return parse((Path(folder) / _FILE).read_bytes())
