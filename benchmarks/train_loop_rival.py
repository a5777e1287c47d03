"""The loop of a fit's epochs by Ray Train, and by nothing: a plain process; `benchmarks.train` sets them side by side.

As a script it reads one line of JSON and answers with what the plain loop took.
"""

import json
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch

from benchmarks.train_rivals import Order, peak_mb
from llmrec.config import TrainingConfig
from llmrec.models.networks.epochs import FitState
from llmrec.storage import Artifact, Storage
from llmrec.training.fit import Plan, Progress, dump, models_of, parse, run_plans
from llmrec.workers.loop import Report, TrainRun
from llmrec.workers.process_group import ProcessGroup
from llmrec.workers.ray_train import run_workers

VARIANT = "text"


def examples_of(root: str) -> Artifact:
    """The artifact in a folder."""
    found = Storage(str(Path(root).parents[1])).find("examples", Path(root).name)
    assert found is not None
    return found


def stamped(plans: Mapping[str, Plan], group: ProcessGroup, report: Report) -> Progress:
    """`run_plans` without validation; each epoch's end is kept in its curve."""
    ((variant, plan),) = plans.items()
    chosen = {f"{key}.validation": FitState(done=True, best_epoch=c.epochs) for key, c in plan.models.items()}  # type: ignore[attr-defined]

    def told(progress: dict[str, Progress]) -> None:
        curve = list(progress[variant].values())[-1].curve
        curve[-1] |= {"ended": time.time(), "cpu": time.process_time(), "peak_mb": peak_mb()}
        report({}, lambda: dump(progress))

    return run_plans(plans, group, {variant: chosen}, told)[variant]


def _loop(plans: dict[str, Plan], group: ProcessGroup, _: bytes | None, report: Report) -> None:
    stamped(plans, group, report)


def looped(loop: str, order: Order) -> dict[str, float]:
    """By `ray` or a `plain` loop: what an epoch of each model takes, added up; what passed before the first."""
    epochs, examples = {"epochs": order["epochs"]}, examples_of(order["root"])
    config = TrainingConfig.model_validate(
        {"retrievers": {"two_tower": epochs}, "ranker": {"name": "deepfm", **epochs}, "workers": 1}
    )
    plans = {VARIANT: Plan(models_of(config), examples, examples, VARIANT, 7)}
    if loop == "ray":
        run = TrainRun(f"{Path(order['root']).parents[1]}/train_runs", f"run-{order['began']}")
        fits = parse(run_workers(_loop, plans, config, run))[VARIANT]
    else:
        torch.set_num_threads(1)
        fits = stamped(plans, ProcessGroup(), lambda *_: None)
    curves = [state.curve for key, state in fits.items() if key.endswith(".test")]
    took = [{clock: float(np.median(np.diff([e[clock] for e in c]))) for clock in ("ended", "cpu")} for c in curves]
    return {
        "seconds": sum(t["ended"] for t in took), "cpu": sum(t["cpu"] for t in took),
        "startup": curves[0][0]["ended"] - order["began"] - took[0]["ended"], "peak_mb": curves[-1][-1]["peak_mb"],
    }  # fmt: skip


if __name__ == "__main__":
    print(json.dumps(looped("plain", json.loads(sys.stdin.readline()))), flush=True)
