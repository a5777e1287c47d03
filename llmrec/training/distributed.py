"""`fit.run_plans` on Ray Train's workers: what is reported after each epoch, and read at the end."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from llmrec.config import TrainingConfig
from llmrec.tracking import Tracked
from llmrec.training.fit import Plan, Progress, dump, parse, run_plans
from llmrec.workers.loop import Report, TrainRun
from llmrec.workers.process_group import ProcessGroup
from llmrec.workers.ray_train import run_workers

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Fits:
    plans: dict[str, Plan]
    tracked: Tracked | None


def run_on_ray(
    plans: Mapping[str, Plan], config: TrainingConfig, run: TrainRun, tracked: Tracked | None = None
) -> dict[str, Progress]:
    """Run the plans, by variant, on `config.workers` data-parallel workers, which are started once for all of them."""
    return parse(run_workers(_loop, _Fits(dict(plans), tracked), config, run))


def _loop(fits: _Fits, group: ProcessGroup, state: bytes | None, report: Report) -> None:
    progress = {} if state is None else parse(state)
    if before := _epochs(progress):
        logger.info("resuming after epochs %s", before)
    run_plans(fits.plans, group, progress, lambda p: report(_metrics(p), lambda: dump(p)), fits.tracked)


def _epochs(progress: dict[str, Progress]) -> dict[str, int]:
    return {f"{variant}.{key}": state.epoch for variant, states in progress.items() for key, state in states.items()}


def _metrics(progress: dict[str, Progress]) -> dict[str, Any]:
    """Of the fit that is going on."""
    variant, states = list(progress.items())[-1]
    key, state = list(states.items())[-1]
    return {"fit": f"{variant}.{key}", **state.curve[-1]}
