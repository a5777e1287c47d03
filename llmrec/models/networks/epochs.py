"""One fit of a network: epochs with early stopping, resumable after each."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from llmrec.models.networks.fit_task import FitTask, Metrics
from llmrec.models.networks.optimization import Optimization
from llmrec.workers.process_group import ProcessGroup

Weights = dict[str, torch.Tensor]


@dataclass
class FitState:
    """Where a fit stands after an epoch: all that a replacement worker needs to go on as if nothing had happened."""

    epoch: int = 0
    done: bool = False
    model: Weights = field(default_factory=dict)
    optimizer: dict[str, Any] = field(default_factory=dict)
    curve: list[Metrics] = field(default_factory=list)
    best_epoch: int = 0
    best_metric: float = float("-inf")
    best: Weights = field(default_factory=dict)


def optimization_of(task: FitTask, config: Any) -> Optimization:
    """The steps of `config.epochs`: an epoch cut anywhere has a batch more than its rows fill."""
    return Optimization(task.net, config, config.epochs * (task.n_rows // config.batch_size + 1))


def run_epochs(
    task: FitTask, config: Any, state: FitState, group: ProcessGroup, seed: int, epochs: int, validate: bool,
    on_epoch: Callable[[], None],
) -> None:  # fmt: skip
    """Run epochs until `epochs`, or until `config.patience` of them brought no better validation metric."""
    optimizer = optimization_of(task, config)
    if state.epoch:
        task.net.load_state_dict(state.model)
        optimizer.load_state_dict(state.optimizer)
    while not state.done:
        state.epoch += 1
        torch.manual_seed((seed * 1_000_003 + state.epoch) * 10_007 + group.rank)
        with optimizer.autocast(group.device):
            loss = task.epoch(optimizer, np.random.default_rng([seed, state.epoch]))
        state.curve.append({"epoch": state.epoch, "loss": loss})
        state.model = {k: v.detach().cpu().clone() for k, v in task.net.state_dict().items()}
        state.optimizer = optimizer.state_dict()
        if validate:
            _judge(task, state, group)
        patient = not validate or state.epoch - state.best_epoch < config.patience
        state.done = state.epoch >= epochs or not patient
        if state.done:
            state.optimizer = {}  # nobody needs it any more, and it is twice the model
        on_epoch()


def _judge(task: FitTask, state: FitState, group: ProcessGroup) -> None:
    """Rank 0 validates; all learn its metric, and so agree on when to stop."""
    metrics = task.validate() if group.rank == 0 else {}
    value = torch.tensor([task.sign * metrics.get(task.metric, 0.0)], dtype=torch.float64, device=group.device)
    metric = float(group.sum(value)[0])
    state.curve[-1] |= metrics
    if metric > state.best_metric:
        state.best_epoch, state.best_metric, state.best = state.epoch, metric, state.model


def fit_here(task: FitTask, config: Any, seed: int, validate: bool) -> int:
    """A whole fit in this process, the net left as fitted: by the best epoch where validation chooses. Returns it."""
    state = FitState()
    run_epochs(task, config, state, ProcessGroup(), seed, config.epochs, validate, lambda: None)
    task.net.load_state_dict(state.best if validate else state.model)
    return state.best_epoch if validate else state.epoch
