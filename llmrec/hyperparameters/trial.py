"""One trial: the models of a configuration fitted before T1, and what validation says of the whole. No Ray."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from llmrec.config import ModelConfig, TrainingConfig
from llmrec.models.base import ModelContext
from llmrec.models.files.store import fit_data, make_model
from llmrec.models.networks.epochs import FitState, run_epochs
from llmrec.models.validation import WHOLE
from llmrec.storage import Artifact
from llmrec.training.closed_form import fit_model
from llmrec.training.fit import load_context, models_of, role_of
from llmrec.training.second_stage import fit_second_stage
from llmrec.variants import VALIDATED
from llmrec.workers.process_group import ProcessGroup

#: Told after each epoch of a network: how good the best epoch is by its own metric, larger being better.
OnEpoch = Callable[[float], None]


@dataclass(frozen=True)
class TrialTask:
    """What is the same for all trials of a search: examples of fold `validation`, whose test period nobody sees."""

    examples: Artifact
    variant: str
    seed: int
    retrieve: int


def run_trial(training: TrainingConfig, task: TrialTask, on_epoch: OnEpoch = lambda _: None) -> float:
    """VALIDATED of the whole system, as the stage `train` measures it with the same settings and seed.

    `on_epoch` is told of the first network alone: another's metric is on a scale of its own.
    """
    context = load_context(task.examples, task.variant)
    fitted: dict[str, Any] = {}
    for key, config in models_of(training).items():
        if role_of(key) != "rater":
            fitted[key], epochs = _fitted(key, config, context, task, on_epoch)
            on_epoch = (lambda _: None) if epochs else on_epoch
    second = fit_second_stage(training, task.examples, context, fitted, task.retrieve)
    return second.metrics[WHOLE][VALIDATED]


def _fitted(
    key: str, config: ModelConfig, context: ModelContext, task: TrialTask, on_epoch: OnEpoch
) -> tuple[Any, int]:
    """The fitted model, and how many epochs that took."""
    torch.manual_seed(task.seed)
    model: Any = make_model(role_of(key), config, context)
    network = model.fit_task(task.examples, ProcessGroup(), True)
    if network is None:
        chosen = fit_model(model, task.examples, task.seed, validate=True)
        return _with(model, config.model_copy(update=chosen), context), 0
    state, settings = FitState(), model.config
    run_epochs(
        network, settings, state, ProcessGroup(), task.seed, settings.epochs, True, lambda: on_epoch(state.best_metric)
    )
    network.net.load_state_dict(state.best)
    return model, state.epoch


def _with(model: Any, config: ModelConfig, context: ModelContext) -> Any:
    """The fitted model with what validation chose among its settings."""
    made = make_model(model.ROLE, config, context)
    made.restore(model.state(), fit_data(context, made))
    return made
