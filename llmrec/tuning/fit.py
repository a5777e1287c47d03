"""The steps that tune an encoder: plain torch, on one worker or several, resumable after each validation."""

import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from llmrec.config import TuningConfig
from llmrec.tuning.data import TuningData
from llmrec.tuning.gradients import Passes, encode
from llmrec.tuning.methods import after_step, allocation, orthogonality, restore_allocation
from llmrec.tuning.network import TextNetwork
from llmrec.tuning.objectives.base import Objective
from llmrec.tuning.ranking import TextQueries, ndcg_at, ranks_of, text_queries, text_scores
from llmrec.workers.process_group import ProcessGroup

logger = logging.getLogger(__name__)
#: Of weights that an objective brings itself: they begin at random, the encoder's do not.
_HEAD_RATE = 1e-3
_EVERY_S = 10.0
METRIC = "ndcg@10"
Weights = dict[str, Tensor]


@dataclass
class TuneState:
    """Where tuning stands: all that a replacement worker needs to go on as if nothing had happened."""

    step: int = 0
    done: bool = False
    failed: str = ""  # why it cannot go on, where it cannot
    tuned: Weights = field(default_factory=dict)  # those of the encoder's weights that are tuned
    heads: dict[str, Weights] = field(default_factory=dict)
    optimizer: dict[str, Any] = field(default_factory=dict)
    curve: list[dict[str, float]] = field(default_factory=list)  # a row a validation, the first before any step
    best_step: int = 0
    best_metric: float = -math.inf
    best: Weights = field(default_factory=dict)
    allocation: dict[str, Any] = field(default_factory=dict)  # of adalora: which ranks matter
    pairs: dict[str, int] = field(default_factory=dict)

    def dump(self) -> bytes:
        """Tensors and plain values."""
        buffer = BytesIO()
        torch.save(vars(self), buffer)
        return buffer.getvalue()

    @classmethod
    def parse(cls, data: bytes | None) -> "TuneState":
        """What `dump` wrote; code in it would not be run. A fresh state of None."""
        return cls() if data is None else cls(**torch.load(BytesIO(data), weights_only=True, map_location="cpu"))


@dataclass(frozen=True)
class TuneTask:
    """The encoder, what teaches it, and what it is judged by."""

    network: TextNetwork
    objectives: dict[str, Objective]
    data: TuningData
    queries: TextQueries | None
    stop: int | None = None  # after so many of the schedule's steps

    @property
    def config(self) -> TuningConfig:
        return self.data.config


def make_queries(data: TuningData) -> TextQueries | None:
    """Those that choose the number of steps; None where none are asked for. Raises ValueError where there are none."""
    if not data.config.validation_share:
        return None
    queries = text_queries(data.texts, data.n_train, data.config.validation_queries, data.seed)
    if not len(queries):
        raise ValueError(
            "tuning: nobody liked an item in the last part of the time before T1 who had liked one earlier: there is "
            "nothing to choose the number of steps by; raise tuning.validation_share, or set it to 0"
        )
    return queries


def run_steps(task: TuneTask, state: TuneState, group: ProcessGroup, report: Callable[[TuneState], None]) -> None:
    """Step until `tuning.steps`, or until `tuning.patience` validations brought no better ranking.

    `report` is called after each validation, on every worker equally often. Raises ValueError for a loss that is no
    number.
    """
    config, optimizer = task.config, make_optimizer(task)
    heads = {name: o.head for name, o in task.objectives.items()}
    if state.curve:
        _restore(task.network, heads, optimizer, state)
    else:
        _validate(task, state, group, {})
    passes = Passes(group, config.micro_batch, config.cache_gradients)
    pace = Pace(state.step, config.steps)
    losses: list[dict[str, float]] = []
    while not state.done:
        for name, rate in zip(("encoder", "heads"), _rates(config, state.step), strict=True):
            next(g for g in optimizer.param_groups if g["name"] == name)["lr"] = rate
        state.step += 1
        loss, n_texts = one_step(task, passes, optimizer, state.step)
        losses.append(loss)
        pace.add(n_texts, sum(loss.values()))
        last = state.step == (task.stop or config.steps)
        if last or state.step % config.validate_every == 0:
            _validate(task, state, group, {name: float(np.mean([x[name] for x in losses])) for name in losses[0]})
            losses = []
            patient = task.queries is None or state.step - state.best_step < config.patience * config.validate_every
            state.done = last or not patient
            state.heads = {name: _copied(dict(head.named_parameters())) for name, head in heads.items()}
            state.optimizer = {} if state.done else optimizer.state_dict()
            state.allocation = {} if state.done else allocation(task.network)
            report(state)


def one_step(
    task: TuneTask, passes: Passes, optimizer: torch.optim.Optimizer, step: int
) -> tuple[dict[str, float], int]:
    """(loss by objective, texts); raises ValueError for a loss that is no number, before any weight is changed."""
    optimizer.zero_grad()
    losses, n_texts = {}, 0
    for at, (name, objective) in enumerate(task.objectives.items()):
        torch.manual_seed((task.data.seed * 1_000_003 + step) * 10_007 + passes.group.rank)
        rng = np.random.default_rng([task.data.seed, step, at])
        losses[name], n = objective.step(passes, rng, task.config.objectives[name])
        n_texts += n
        if not math.isfinite(losses[name]):
            raise ValueError(
                f"tuning: the loss of {name} is {losses[name]} at step {step}; nothing was written. Lower "
                f"tuning.learning_rate ({task.config.learning_rate:g}), or set tuning.dtype=float32"
            )
    weights = [p for g in optimizer.param_groups for p in g["params"]]
    apart = orthogonality(task.network)
    if apart is not None and not passes.group.rank:  # once, whatever the number of workers
        apart.backward()  # type: ignore[no-untyped-call]
    if passes.group.world > 1:
        passes.group.average_gradients(weights, int(passes.group.rank == 0))  # of one row in all: their sum
    nn.utils.clip_grad_norm_(weights, task.config.clip_norm)
    optimizer.step()
    after_step(task.network, step)
    return losses, n_texts


def make_optimizer(task: TuneTask) -> torch.optim.Optimizer:
    """AdamW over what is tuned of the encoder, and over the heads, which do not decay."""
    encoder = [p for p in task.network.parameters() if p.requires_grad]
    heads = [p for o in task.objectives.values() for p in o.head.parameters() if p.requires_grad]
    groups = [
        {"params": encoder, "name": "encoder", "weight_decay": task.config.weight_decay},
        {"params": heads, "name": "heads", "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=task.config.learning_rate)


def _rates(config: TuningConfig, step: int) -> tuple[float, float]:
    """Learning rates of encoder and heads: linear up to the highest, then a cosine down to zero."""
    warm = config.warmup_share * config.steps
    if step < warm:
        share = (step + 1) / (warm + 1)
    else:
        share = 0.5 * (1 + math.cos(math.pi * (step - warm) / max(config.steps - warm, 1)))
    return config.learning_rate * share, _HEAD_RATE * share


def _validate(task: TuneTask, state: TuneState, group: ProcessGroup, losses: dict[str, float]) -> None:
    """A row of the curve; the weights are kept where none ranked better before, or where nothing is asked."""
    row = {"step": float(state.step), **losses}
    state.tuned = _copied({n: p for n, p in task.network.named_parameters() if p.requires_grad})
    if task.queries is not None:
        row[METRIC] = float(np.mean(judge(task.network, task.data, task.queries, group)))
    state.curve.append(row)
    if row.get(METRIC, math.inf) > state.best_metric or task.queries is None:
        state.best_step, state.best_metric, state.best = state.step, row.get(METRIC, 0.0), state.tuned
    logger.info("tune: %s", " ".join(f"{name} {value:.4g}" for name, value in row.items()))


def judge(network: TextNetwork, data: TuningData, queries: TextQueries, group: ProcessGroup) -> Any:
    """(Q,) NDCG@10 of ranking by text alone."""
    ids = [data.tokens[row] for row in queries.rows]
    vectors = encode(network, ids, Passes(group, 4 * data.config.micro_batch))
    return ndcg_at(ranks_of(text_scores(nn.functional.normalize(vectors, dim=1).cpu().numpy(), queries), queries))


def _restore(
    network: TextNetwork, heads: dict[str, nn.Module], optimizer: torch.optim.Optimizer, state: TuneState
) -> None:
    load_tuned(network, state.tuned)
    for name, head in heads.items():
        head.load_state_dict(state.heads[name])
    if state.optimizer:
        optimizer.load_state_dict(state.optimizer)
    restore_allocation(network, state.allocation)


def load_tuned(network: TextNetwork, tuned: Weights) -> None:
    """Put tuned weights in their places, by name."""
    with torch.no_grad():
        own = dict(network.named_parameters())
        for name, values in tuned.items():
            own[name].copy_(values)


def _copied(weights: Weights) -> Weights:
    return {name: w.detach().cpu().clone() for name, w in weights.items()}


class Pace:
    """Loss, texts/s and the seconds that are left, said every ten seconds."""

    def __init__(self, step: int, steps: int) -> None:
        self._first, self._step, self._steps = step, step, steps
        self._texts = 0
        self._started = self._said = time.monotonic()

    def add(self, texts: int, loss: float) -> None:
        """Count one step."""
        self._step, self._texts = self._step + 1, self._texts + texts
        now = time.monotonic()
        if now - self._said < _EVERY_S:
            return
        self._said, seconds = now, now - self._started
        left = (self._steps - self._step) * seconds / (self._step - self._first)
        logger.info(
            "tune: step %d of %d, loss %.4f, %.0f texts/s, %.0f s left",
            self._step, self._steps, loss, self._texts / seconds, left,
        )  # fmt: skip
