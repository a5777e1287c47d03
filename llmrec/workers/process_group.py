"""The workers of one data-parallel fit, as a step sees them."""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor, nn


@dataclass(frozen=True)
class ProcessGroup:
    """Rank and size; alone where `world` is 1. The process group is Ray Train's to set up."""

    rank: int = 0
    world: int = 1
    device: str = "cpu"

    def sum(self, value: Tensor) -> Tensor:
        """The sum over all workers, in place."""
        if self.world > 1:
            dist.all_reduce(value)
        return value

    def average_gradients(self, parameters: Iterable[nn.Parameter], rows: int) -> float:
        """Turn each worker's gradient of a *sum* over its rows into that of the mean over everybody's rows.

        Exact however unevenly rows are spread; a worker without rows takes part with zeros. Returns the rows in all.
        """
        owned = [p for p in parameters if p.requires_grad]
        grads = [torch.zeros_like(p) if p.grad is None else p.grad for p in owned]
        flat = torch.cat([*(g.flatten() for g in grads), torch.tensor([float(rows)], device=self.device)])
        total = max(float(self.sum(flat)[-1]), 1.0)
        for parameter, part in zip(owned, torch.split(flat[:-1], [g.numel() for g in grads]), strict=True):
            parameter.grad = part.view_as(parameter) / total
        return total
