"""The fits of a variant's networks, one after the other: what Ray Train's workers run."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from io import BytesIO
from typing import cast

import torch

from llmrec.catalogue import Role
from llmrec.config import ModelConfig, TrainingConfig
from llmrec.features.dataset.rows import load_features
from llmrec.models.base import ModelContext
from llmrec.models.networks.epochs import FitState, run_epochs
from llmrec.models.store import make_model
from llmrec.storage import Artifact
from llmrec.training.warm_start import WarmStart
from llmrec.workers.process_group import ProcessGroup

#: A variant's states by "KEY.FOLD", in the order in which the fits are run; a key is that of `models_of`.
Progress = dict[str, FitState]


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


def run_plan(plan: Plan, group: ProcessGroup, progress: Progress, on_epoch: Callable[[Progress], None]) -> Progress:
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
            run_epochs(task, config, state, group, plan.seed, epochs, validate, lambda: on_epoch(progress))
    return progress


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
    on_epoch: Callable[[dict[str, Progress]], None],
) -> dict[str, Progress]:  # fmt: skip
    """`run_plan` for one variant after the other; `progress` is by variant."""
    for variant, plan in plans.items():
        run_plan(plan, group, progress.setdefault(variant, {}), lambda _: on_epoch(progress))
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
