"""How a network is fitted epoch by epoch: what it brings to the loop of `llmrec.training.fit`."""

from typing import Protocol

import numpy as np
import torch
from torch import nn

from llmrec.models.networks.optimization import Stepper
from llmrec.workers.process_group import ProcessGroup

Metrics = dict[str, float]


class FitTask(Protocol):
    """A network with its rows. A larger `sign` × `metric` is better."""

    @property
    def net(self) -> nn.Module: ...

    @property
    def n_rows(self) -> int:
        """The most rows that a worker has."""

    @property
    def metric(self) -> str: ...

    @property
    def sign(self) -> int: ...

    def epoch(self, optimizer: Stepper, rng: np.random.Generator) -> float: ...

    def validate(self) -> Metrics: ...


def most_rows(group: ProcessGroup, own: int) -> int:
    """The most rows that a worker has, given that they were dealt out evenly."""
    total = group.sum(torch.tensor([own], dtype=torch.int64, device=group.device))
    return -(-int(total[0]) // group.world)
