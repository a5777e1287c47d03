"""Cumulative logits: ordered levels, such as stars, from one number."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class CumulativeLogit(nn.Module):
    """P(y > level_j) = σ(output − cut_j) with learned, ascending cuts (McCullagh, JRSS B 42, 1980, section 2)."""

    levels: Tensor

    def __init__(self, levels: Sequence[float]) -> None:
        """`levels`: two or more, ascending."""
        super().__init__()
        self.register_buffer("levels", torch.tensor(levels, dtype=torch.float32), persistent=False)
        n = len(levels) - 1
        self.first = nn.Parameter(torch.tensor(-(n - 1) / 2))
        self.steps = nn.Parameter(torch.full((n - 1,), 0.5413))  # softplus of it is 1

    def cuts(self) -> Tensor:
        """(n_levels − 1,)"""
        return self.first + torch.cat([self.steps.new_zeros(1), F.softplus(self.steps).cumsum(0)])

    def losses(self, outputs: Tensor, values: Tensor) -> Tensor:
        """(B,) −log P of the level that each value (B,) reaches; what lies below the first counts as that."""
        level = torch.searchsorted(self.levels[1:].contiguous(), values.contiguous(), right=True)
        end = outputs.new_full((1,), torch.inf)
        cuts = torch.cat([-end, self.cuts(), end])
        low, high = cuts[level], cuts[level + 1]
        # σ(a) − σ(b) = σ(a) σ(−b) (1 − e^(b − a)) for a ≥ b
        return -(F.logsigmoid(outputs - low) + F.logsigmoid(high - outputs) + torch.log1p(-torch.exp(low - high)))

    def expected(self, outputs: Tensor) -> Tensor:
        """(B,) mean value."""
        steps = self.levels.diff()
        return self.levels[0] + (torch.sigmoid(outputs[:, None] - self.cuts()) * steps).sum(1)
