"""The fits of a variant's networks, one after the other: what Ray Train's workers run."""

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from typing import cast

import torch

from llmrec.catalogue import Role
from llmrec.config import ModelConfig, TrainingConfig
from llmrec.features.dataset.rows import load_features
from llmrec.models.base import ModelContext
from llmrec.models.files.store import make_model
from llmrec.models.networks.epochs import FitState, run_epochs
from llmrec.storage import Artifact
from llmrec.tracking import Curves, Tracked
from llmrec.training.warm_start import WarmStart
from llmrec.workers.process_group import ProcessGroup

#: A variant's states by "KEY.FOLD", in the order in which the fits are run; a key is that of `models_of`.
Progress = dict[str, FitState]
OnEpoch = Callable[[Progress], None]
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Plan:
    """Networks by key: fitted on fold `validation` to choose the number of epochs, then anew on fold `test`.

    `warm`: where they go on from, on fold `test` alone, for a number of epochs that is given.
    """

    models: Mapping[str, ModelConfig]
    validation: Artifact | None  # None: warm
    test: Artifact
    variant: str
    seed: int
    warm: WarmStart | None = None

    @property
    def folds(self) -> dict[str, Artifact]:
        return {"test": self.test} if self.validation is None else {"validation": self.validation, "test": self.test}


def load_context(examples: Artifact, variant: str) -> ModelContext:
    """What a fold's features know, as a variant reads it."""
    return ModelContext(*load_features(examples), variant)


def run_plan(plan: Plan, group: ProcessGroup, progress: Progress, on_epoch: OnEpoch) -> Progress:
    """Fit what `progress` has not finished; `on_epoch` is called after each epoch, on every worker equally often."""
    contexts = {fold: load_context(examples, plan.variant) for fold, examples in plan.folds.items()}
    for key, config in plan.models.items():
        for fold, examples in plan.folds.items():
            state = progress.setdefault(f"{key}.{fold}", FitState())
            if state.done:
                continue
            validate = fold == "validation"
            epochs = config.epochs if validate else _chosen_epochs(plan, progress, key)  # type: ignore[attr-defined]
            torch.manual_seed(plan.seed)
            model = make_model(role_of(key), config, contexts[fold])
            if plan.warm is not None:
                plan.warm.begin(key, model.net, contexts[fold])
            task = model.fit_task(examples, group, validate)
            pace = _Pace(f"{plan.variant}.{key}.{fold}", task.n_rows * group.world, state, epochs)
            run_epochs(task, config, state, group, plan.seed, epochs, validate, _both(pace, progress, on_epoch, group))
    return progress


def _both(pace: "_Pace", progress: Progress, on_epoch: OnEpoch, group: ProcessGroup) -> Callable[[], None]:
    """What an epoch of one fit tells: the console on rank 0, and the caller on all."""

    def told() -> None:
        if group.rank == 0:
            pace.tell()
        on_epoch(progress)

    return told


class _Pace:
    """After each epoch its loss, metrics, rows/s, and the seconds that are left at most."""

    def __init__(self, name: str, n_rows: int, state: FitState, epochs: int) -> None:
        self._name, self._n_rows, self._state, self._epochs = name, n_rows, state, epochs
        self._since = time.monotonic()

    def tell(self) -> None:
        seconds, self._since = time.monotonic() - self._since, time.monotonic()
        found = " ".join(f"{name} {value:.4g}" for name, value in self._state.curve[-1].items() if name != "epoch")
        left = 0.0 if self._state.done else seconds * (self._epochs - self._state.epoch)
        logger.info(
            "train: %s epoch %d of %d: %s, %.0f rows/s, at most %.0f s left", self._name, self._state.epoch,
            self._epochs, found, self._n_rows / max(seconds, 1e-9), left,
        )  # fmt: skip


def _chosen_epochs(plan: Plan, progress: Progress, key: str) -> int:
    return plan.warm.epochs if plan.warm is not None else progress[f"{key}.validation"].best_epoch


def models_of(training: TrainingConfig) -> dict[str, ModelConfig]:
    """Key in the bundle -> settings, in the order in which they are fitted: `retriever.NAME`, …, `ranker`, …"""
    return {
        **{f"retriever.{c.name}": c for c in training.retrievers},
        "ranker": training.ranker,
        **{f"rater.{c.name}": c for c in training.raters},
    }


def role_of(key: str) -> Role:
    """`retriever` of `retriever.two_tower`."""
    return cast(Role, key.partition(".")[0])


def run_plans(
    plans: Mapping[str, Plan], group: ProcessGroup, progress: dict[str, Progress],
    on_epoch: Callable[[dict[str, Progress]], None], tracked: Tracked | None = None,
) -> dict[str, Progress]:  # fmt: skip
    """`run_plan` for one variant after the other; `progress` is by variant. `tracked`: where rank 0 shows curves."""
    curves = tracked.curves() if tracked is not None and group.rank == 0 else Curves()
    for variant, states in progress.items():
        for key, state in states.items():
            curves.resume(f"{variant}.{key}", state.epoch)

    def told(states: Progress, variant: str) -> None:
        key, state = list(states.items())[-1]
        curves.show(f"{variant}.{key}", state.curve, "epoch")
        on_epoch(progress)

    for variant, plan in plans.items():
        run_plan(plan, group, progress.setdefault(variant, {}), partial(told, variant=variant))
    return progress


def dump(progress: dict[str, Progress]) -> bytes:
    """`progress` by variant as bytes: tensors and plain values only."""
    buffer = BytesIO()
    torch.save({variant: {key: vars(s) for key, s in states.items()} for variant, states in progress.items()}, buffer)
    return buffer.getvalue()


def parse(data: bytes) -> dict[str, Progress]:
    """What `dump` wrote; code in it would not be run."""
    found = torch.load(BytesIO(data), weights_only=True, map_location="cpu")
    return {variant: {key: FitState(**state) for key, state in states.items()} for variant, states in found.items()}
