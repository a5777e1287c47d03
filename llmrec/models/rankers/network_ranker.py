"""Rankers that are networks: their epochs on Ray Train, and their predictions."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from scipy.special import expit

from llmrec.features.dataset.rows import Examples, Shard, read_examples
from llmrec.models.attribution import IDS, Doubles, by_family
from llmrec.models.base import Arrays, FitData, ModelContext, Ranker
from llmrec.models.networks.epochs import fit_here
from llmrec.models.networks.fit_task import Metrics, most_rows
from llmrec.models.networks.integrated_gradients import integrated_gradients
from llmrec.models.networks.optimization import Stepper
from llmrec.models.networks.weights import from_arrays, to_arrays
from llmrec.models.rankers.click_network import Body, ClickNetwork, NetworkConfig
from llmrec.models.validation import click_metrics
from llmrec.storage import Artifact
from llmrec.workers.process_group import ProcessGroup

Floats = npt.NDArray[np.float32]


def _clicks(rows: Examples) -> Floats:
    return rows.click


@dataclass(frozen=True)
class Target:
    """What the outputs stand for. `loss` sums over rows (outputs, labels); `measure`: metrics of (labels, outputs)."""

    metric: str
    sign: int
    loss: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
    measure: Callable[[Floats, Floats], Metrics]
    labels: Callable[[Examples], Floats] = _clicks


def _log_loss(logits: torch.Tensor, clicks: torch.Tensor) -> torch.Tensor:
    return F.binary_cross_entropy_with_logits(logits, clicks, reduction="sum")


def _click_metrics(clicks: Floats, logits: Floats) -> Metrics:
    return click_metrics(clicks, expit(logits))


CLICK = Target("log_loss", -1, _log_loss, _click_metrics)


def ranker_epoch(
    net: ClickNetwork, optimizer: Stepper, rows: Examples, config: NetworkConfig, group: ProcessGroup,
    rng: np.random.Generator, n_rows: int, target: Target = CLICK,
) -> float:  # fmt: skip
    """One pass over all workers' rows in random order; returns the mean loss a row, over all of them.

    `n_rows`: the largest number of rows a worker has. `rng` must be in the same state on every worker.
    """
    net.train()
    order = rng.permutation(n_rows)
    order = order[order < len(rows)]
    total = torch.zeros(2, device=group.device)
    for start in range(0, n_rows, config.batch_size):
        optimizer.zero_grad()
        part = rows.take(order[start : start + config.batch_size])
        if len(part):
            labels = torch.as_tensor(target.labels(part), device=group.device)
            loss = target.loss(_logits(net, part, group.device), labels)
            loss.backward()  # type: ignore[no-untyped-call]
            total += torch.stack([loss.detach(), torch.tensor(float(len(part)), device=group.device)])
        group.average_gradients(net.parameters(), len(part))
        optimizer.step()
    summed = group.sum(total)
    return float(summed[0] / summed[1])


@torch.inference_mode()
def predict(net: ClickNetwork, rows: Examples, batch_size: int = 8_192, device: str = "cpu") -> Floats:
    """(N, …) outputs, of a click network logits (N,), in the order of `rows`."""
    net.eval()
    parts = [
        _logits(net, rows.take(slice(start, start + batch_size)), device).cpu().numpy()
        for start in range(0, len(rows), batch_size)
    ]
    return np.concatenate(parts) if parts else np.zeros(0, np.float32)


def _logits(net: ClickNetwork, rows: Examples, device: str) -> torch.Tensor:
    logits: torch.Tensor = net(*tensors(rows, device))
    return logits


def tensors(rows: Examples, device: str = "cpu") -> list[torch.Tensor]:
    """The rows as a click network takes them."""
    columns = (rows.user_idx, rows.item_idx, rows.history, rows.ages, rows.dense)
    writable = (np.require(c, requirements=("C", "W")) for c in columns)  # rows of one user are a view, seen N times
    return [torch.as_tensor(c, device=device) for c in writable]


class NetworkTask:
    """A network on labelled rows; validated by the target's metric on the rows held out, where there are some."""

    def __init__(
        self, net: ClickNetwork, config: NetworkConfig, rows: Examples, held_out: Examples | None, group: ProcessGroup,
        target: Target = CLICK,
    ) -> None:  # fmt: skip
        self.target, self.metric, self.sign = target, target.metric, target.sign
        self.net, self.config, self.rows, self.group = net.to(group.device), config, rows, group
        self.held_out, self.n_rows = held_out, most_rows(group, len(rows))

    def epoch(self, optimizer: Stepper, rng: np.random.Generator) -> float:
        return ranker_epoch(self.net, optimizer, self.rows, self.config, self.group, rng, self.n_rows, self.target)

    def validate(self) -> Metrics:
        assert self.held_out is not None
        outputs = predict(self.net, self.held_out, device=self.group.device)
        return self.target.measure(self.target.labels(self.held_out), outputs)


class NetworkRanker(Ranker):
    """A `body` over ids, history and dense features."""

    body: ClassVar[Body]

    def __init__(self, config: Any, context: ModelContext) -> None:
        super().__init__(config, context)
        self.net = self.make_net()

    def make_net(self) -> ClickNetwork:
        """With random weights."""
        return ClickNetwork.of(self.config, type(self).body, self.context)

    def fit_task(self, examples: Artifact, group: ProcessGroup, validate: bool) -> NetworkTask:
        rows = self._read(examples, "train", Shard(group.rank, group.world))
        held_out = self._read(examples, "validation", Shard()) if validate and group.rank == 0 else None
        return self._task(rows, held_out, group)

    def _read(self, examples: Artifact, split: str, shard: Shard) -> Examples:
        chosen, length = self.context.selection, self.context.history_length
        return read_examples(examples, split, chosen, length, with_ids=False, shard=shard, outcomes=self.outcomes)

    def _task(self, rows: Examples, held_out: Examples | None, group: ProcessGroup) -> NetworkTask:
        self.prepare(rows, group)
        return NetworkTask(self.net, self.config, rows, held_out, group, self.target())

    def target(self) -> Target:
        """What the network learns."""
        return CLICK

    def prepare(self, rows: Examples, group: ProcessGroup) -> None:
        """Take from all workers' rows what the network needs before it learns."""

    def fit(self, rows: Examples, held_out: Examples | None, seed: int) -> dict[str, Any]:
        task = self._task(rows, held_out, ProcessGroup())
        return {"epochs": fit_here(task, self.config, seed, held_out is not None)}

    def logits(self, rows: Examples) -> Floats:
        return predict(self.net, rows)

    def attributions(self, rows: Examples) -> dict[str, Doubles]:
        """By integrated gradients; what the embeddings of ids add is IDS."""
        return self.attributed(rows, self.net.body)

    def attributed(self, rows: Examples, body: Callable[..., torch.Tensor]) -> dict[str, Doubles]:
        """Of a `body` of embeddings and dense features with outputs (N,)."""
        self.net.eval()
        *ids, dense = tensors(rows)
        by_id, by_column = integrated_gradients(body, (self.net.embed(*ids), dense))
        families = by_family((c.family for c in self.context.dense), by_column.numpy())
        return families | {IDS: by_id.sum(dim=(1, 2)).double().numpy()}

    def state(self) -> Arrays:
        return to_arrays(self.net)

    def restore(self, arrays: Arrays, data: FitData) -> None:
        from_arrays(self.net, arrays)
