"""One fit: epochs with early stopping, resumable after each; and the plan of fits that makes an artifact."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any, Literal, Protocol

import numpy as np
import torch
from torch import nn

from llmrec.config import RankerConfig, TwoTowerConfig
from llmrec.models.modelfile import ModelFile
from llmrec.models.retrieval import Retriever
from llmrec.schema import DAY_MS
from llmrec.storage import Artifact
from llmrec.training.data import Shard, load_features, read_examples
from llmrec.training.process_group import ProcessGroup
from llmrec.training.ranker import predict, ranker_epoch
from llmrec.training.two_tower import TowerData, tower_epoch
from llmrec.training.validation import Queries, click_metrics, ranking_metrics

ModelName = Literal["two_tower", "ranker"]
Weights = dict[str, torch.Tensor]
Metrics = dict[str, float]

#: How stale item vectors may be when validation compares epochs. (Evaluation and serving refresh by the day.)
VALIDATION_REFRESH_MS = 7 * DAY_MS


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


#: A variant's states by "MODEL.FOLD", in the order in which the fits are run.
Progress = dict[str, FitState]


@dataclass(frozen=True)
class Fold:
    """The examples that a model is fitted on, and the sizes that it has there."""

    examples: Artifact
    file: ModelFile


@dataclass(frozen=True)
class Plan:
    """Both models: fitted on fold `validation` to choose the number of epochs, then anew on fold `test`."""

    validation: Fold
    test: Fold
    seed: int


class Task(Protocol):
    """What a model brings to `fit`. A larger `sign` × `metric` is better."""

    @property
    def model(self) -> nn.Module: ...

    @property
    def metric(self) -> str: ...

    @property
    def sign(self) -> int: ...

    def epoch(self, optimizer: torch.optim.Optimizer, rng: np.random.Generator) -> float: ...

    def validate(self) -> Metrics: ...


class TowerTask:
    """The two-tower model on a fold's positives; validated by full ranking over the items known at each query."""

    metric, sign = "ndcg@50", 1

    def __init__(self, fold: Fold, group: ProcessGroup, validate: bool) -> None:
        self.group, self.config = group, fold.file.two_tower
        self.model = fold.file.make_two_tower().to(group.device)
        spec, history = load_features(fold.examples)
        selection, length = spec.columns_of(fold.file.variant), fold.file.history_length
        shard = Shard(group.rank, group.world)
        rows = read_examples(fold.examples, "train", selection, length, clicks_only=True, with_pairs=False, shard=shard)
        self.data = TowerData(rows, spec, history, selection)
        self.n_rows = most_rows(group, len(rows))
        if validate and group.rank == 0:
            clicks = read_examples(fold.examples, "validation", selection, length, clicks_only=True, with_pairs=False)
            self.queries = Queries.of(history, clicks)
            self.copy = fold.file.make_two_tower()
            self.retriever = Retriever(self.copy, spec, history, selection, VALIDATION_REFRESH_MS)

    def epoch(self, optimizer: torch.optim.Optimizer, rng: np.random.Generator) -> float:
        return tower_epoch(self.model, optimizer, self.data, self.config, self.group, rng, self.n_rows)

    def validate(self) -> Metrics:
        self.copy.load_state_dict(self.model.state_dict())
        self.retriever.refit()
        rows, _ = self.retriever.retrieve(self.queries.users, self.queries.times, 50)
        return ranking_metrics(rows, self.queries.targets)


class RankerTask:
    """The CTR model on a fold's clicks and negatives; validated by log loss."""

    metric, sign = "log_loss", -1

    def __init__(self, fold: Fold, group: ProcessGroup, validate: bool) -> None:
        self.group, self.config = group, fold.file.ranker
        self.model = fold.file.make_ranker().to(group.device)
        spec, _ = load_features(fold.examples)
        selection, length = spec.columns_of(fold.file.variant), fold.file.history_length
        shard = Shard(group.rank, group.world)
        self.rows = read_examples(fold.examples, "train", selection, length, with_ids=False, shard=shard)
        self.n_rows = most_rows(group, len(self.rows))
        if validate and group.rank == 0:
            self.held_out = read_examples(fold.examples, "validation", selection, length, with_ids=False)

    def epoch(self, optimizer: torch.optim.Optimizer, rng: np.random.Generator) -> float:
        return ranker_epoch(self.model, optimizer, self.rows, self.config, self.group, rng, self.n_rows)

    def validate(self) -> Metrics:
        probability = predict(self.model, self.held_out, device=self.group.device)
        return click_metrics(self.held_out.click, probability)


TASKS: dict[ModelName, Callable[[Fold, ProcessGroup, bool], Task]] = {"two_tower": TowerTask, "ranker": RankerTask}


def most_rows(group: ProcessGroup, own: int) -> int:
    """The most rows that a worker has, given that they were dealt out evenly."""
    total = group.sum(torch.tensor([own], dtype=torch.int64, device=group.device))
    return -(-int(total[0]) // group.world)


def run_plan(plan: Plan, group: ProcessGroup, progress: Progress, on_epoch: Callable[[Progress], None]) -> Progress:
    """Fit what `progress` has not finished; `on_epoch` is called after each epoch, on every worker equally often."""
    names: tuple[ModelName, ...] = ("two_tower", "ranker")
    for name in names:
        config: TwoTowerConfig | RankerConfig = getattr(plan.validation.file, name)
        for fold_name, fold in (("validation", plan.validation), ("test", plan.test)):
            key = f"{name}.{fold_name}"
            state = progress.setdefault(key, FitState())
            if state.done:
                continue
            validate = fold_name == "validation"
            epochs = config.epochs if validate else progress[f"{name}.validation"].best_epoch
            torch.manual_seed(plan.seed)
            task: Task = TASKS[name](fold, group, validate)
            fit(task, config, state, group, plan.seed, epochs, validate, lambda: on_epoch(progress))
    return progress


def run_plans(
    plans: Mapping[str, Plan], group: ProcessGroup, progress: dict[str, Progress],
    on_epoch: Callable[[dict[str, Progress]], None],
) -> dict[str, Progress]:  # fmt: skip
    """`run_plan` for one variant after the other; `progress` is by variant."""
    for variant, plan in plans.items():
        run_plan(plan, group, progress.setdefault(variant, {}), lambda _: on_epoch(progress))
    return progress


def fit(
    task: Task, config: TwoTowerConfig | RankerConfig, state: FitState, group: ProcessGroup, seed: int, epochs: int,
    validate: bool, on_epoch: Callable[[], None],
) -> None:  # fmt: skip
    """Run epochs until `epochs`, or until `config.patience` of them brought no better validation metric."""
    optimizer = torch.optim.AdamW(task.model.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay)
    if state.epoch:
        task.model.load_state_dict(state.model)
        optimizer.load_state_dict(state.optimizer)
    while not state.done:
        state.epoch += 1
        torch.manual_seed((seed * 1_000_003 + state.epoch) * 10_007 + group.rank)
        loss = task.epoch(optimizer, np.random.default_rng([seed, state.epoch]))
        state.curve.append({"epoch": state.epoch, "loss": loss})
        state.model = {k: v.detach().cpu().clone() for k, v in task.model.state_dict().items()}
        state.optimizer = optimizer.state_dict()
        if validate:
            _judge(task, state, group)
        patient = not validate or state.epoch - state.best_epoch < config.patience
        state.done = state.epoch >= epochs or not patient
        if state.done:
            state.optimizer = {}  # nobody needs it any more, and it is twice the model
        on_epoch()


def _judge(task: Task, state: FitState, group: ProcessGroup) -> None:
    """Rank 0 validates; all learn its metric, and so agree on when to stop."""
    metrics = task.validate() if group.rank == 0 else {}
    value = torch.tensor([task.sign * metrics.get(task.metric, 0.0)], dtype=torch.float64, device=group.device)
    metric = float(group.sum(value)[0])
    state.curve[-1] |= metrics
    if metric > state.best_metric:
        state.best_epoch, state.best_metric, state.best = state.epoch, metric, state.model


def dump(progress: dict[str, Progress]) -> bytes:
    """`progress` by variant as bytes: tensors and plain values only."""
    buffer = BytesIO()
    torch.save({variant: {key: vars(s) for key, s in states.items()} for variant, states in progress.items()}, buffer)
    return buffer.getvalue()


def parse(data: bytes) -> dict[str, Progress]:
    """What `dump` wrote; code in it would not be run."""
    found = torch.load(BytesIO(data), weights_only=True, map_location="cpu")
    return {variant: {key: FitState(**state) for key, state in states.items()} for variant, states in found.items()}
