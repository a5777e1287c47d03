"""Ray Train around any resumable loop: workers, checkpoints, resume. A loop's own code is plain torch."""

import logging
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ray.train
import ray.train.torch
from ray.train.v2._internal.execution import context
from ray.train.v2._internal.execution.callback import RayTrainCallback
from ray.train.v2.api import data_parallel_trainer

from llmrec.config.workers import WorkersConfig
from llmrec.files import filesystem
from llmrec.workers.loop import Loop, Metrics, Report, TrainRun
from llmrec.workers.process_group import ProcessGroup

_FILE = "progress.pt"
_CLEANER = "PlacementGroupCleanerCallback"
#: Loggers that say again what a fit's own lines say of a report (named by its file), and which CPU's build is read.
_CHATTY = (context.__file__, "faiss.loader")


def run_workers(loop: Loop, settings: Any, config: WorkersConfig, run: TrainRun, cpus: int = 1) -> bytes:
    """Run `loop` on `config.workers` data-parallel workers of `cpus` CPUs each; what was dumped last.

    A worker that dies is replaced, `config.max_failures` times in all, and the loop goes on from the last report.
    So it does when the job itself was killed and is run again: the checkpoints stay until the caller deletes them.
    """
    # The controller takes a report in at its next look at the workers, by default 2 s later: longer than a short epoch.
    os.environ.setdefault("RAY_TRAIN_HEALTH_CHECK_INTERVAL_S", "0.1")
    _without_cleaner()
    fs, path = filesystem(run.folder)
    trainer = ray.train.torch.TorchTrainer(
        _worker,
        train_loop_config={"loop": loop, "settings": settings},
        scaling_config=ray.train.ScalingConfig(
            num_workers=config.workers, use_gpu=config.gpu,
            resources_per_worker={"CPU": cpus} if cpus > 1 else None,
        ),
        run_config=ray.train.RunConfig(
            name=run.name, storage_path=path, storage_filesystem=fs,
            failure_config=ray.train.FailureConfig(max_failures=config.max_failures),
            checkpoint_config=ray.train.CheckpointConfig(num_to_keep=1),
            logging_config=ray.train.LoggingConfig(log_level="WARNING"),
        ),
    )  # fmt: skip
    result = trainer.fit()
    if result.checkpoint is None:
        raise RuntimeError(f"training {run.name}: Ray Train returned no checkpoint, expected one after each epoch")
    return _read(result.checkpoint)


def _without_cleaner() -> None:
    """Leave out Ray Train's cleaner of placement groups where no dashboard runs, as in a process's own cluster.

    It asks the dashboard whether the controller lives, and ends with a page of traceback where there is none; a cluster
    that ends with this process leaves no placement group behind. Ray 2.60 has no switch for it.
    """
    node = ray._private.worker._global_node
    if node is not None and not node.webui_url and hasattr(data_parallel_trainer, _CLEANER):
        setattr(data_parallel_trainer, _CLEANER, RayTrainCallback)


def _worker(settings: dict[str, Any]) -> None:
    for name in _CHATTY:
        logging.getLogger(name).setLevel(logging.WARNING)
    own = ray.train.get_context()
    device = str(ray.train.torch.get_device())
    group = ProcessGroup(own.get_world_rank(), own.get_world_size(), device)
    checkpoint = ray.train.get_checkpoint()
    state = None if checkpoint is None else _read(checkpoint)
    reports = 0

    def report(metrics: Metrics, dump: Callable[[], bytes]) -> None:
        nonlocal reports
        reports += 1
        _report(metrics, dump, group)

    loop: Loop = settings["loop"]
    told: Report = report
    loop(settings["settings"], group, state, told)
    if state is not None and not reports:
        held = state
        _report({}, lambda: held, group)  # the job died between the last report and reading its result


def _report(metrics: Metrics, dump: Callable[[], bytes], group: ProcessGroup) -> None:
    """A barrier: every worker takes part; rank 0 brings metrics and checkpoint."""
    if group.rank:
        ray.train.report(metrics)
        return
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / _FILE).write_bytes(dump())
        ray.train.report(metrics, checkpoint=ray.train.Checkpoint.from_directory(folder))


def _read(checkpoint: ray.train.Checkpoint) -> bytes:
    with checkpoint.as_directory() as folder:
        return (Path(folder) / _FILE).read_bytes()
