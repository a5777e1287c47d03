"""Layers that the two-tower model and the ranker share."""

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor, nn


def mlp(widths: Sequence[int], dropout: float) -> nn.Sequential:
    """Linear-ReLU-Dropout blocks from `widths[0]` inputs to `widths[-1]` outputs; one width is the identity."""
    layers: list[nn.Module] = []
    for width_in, width_out in itertools.pairwise(widths):
        layers += [nn.Linear(width_in, width_out), nn.ReLU(), nn.Dropout(dropout)]
    return nn.Sequential(*layers)


class IdEmbedding(nn.Module):
    """Embeddings of indices 0 … n - 1, where 0 is "unknown".

    In training each id is replaced by 0 with probability `dropout`, so that row 0 learns what to say about somebody
    never seen (DropoutNet, Volkovs et al., NeurIPS 2017, section 4.2).
    """

    def __init__(self, n: int, dim: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.table = nn.Embedding(n, dim)
        self.dropout = dropout
        nn.init.normal_(self.table.weight, std=0.05)

    def forward(self, idx: Tensor) -> Tensor:
        """(…,) int → (…, dim)."""
        if self.training and self.dropout > 0:
            idx = idx.masked_fill(torch.rand(idx.shape, device=idx.device) < self.dropout, 0)
        embedded: Tensor = self.table(idx)
        return embedded


class MeanPool(nn.Module):
    """Mean over the known items of a history; zeros where it is empty."""

    def forward(self, embedded: Tensor, known: Tensor, ages: Tensor) -> Tensor:
        """(B, L, D), mask (B, L) and ages (B, L), which it passes over → (B, D)."""
        weight = known.to(embedded.dtype).unsqueeze(-1)  # (B, L, 1)
        return (embedded * weight).sum(1) / weight.sum(1).clamp(min=1)


class AttentionPool(nn.Module):
    """Softmax attention over a history from each item's embedding, its place in the sequence and its age.

    The query is learned and the same for everybody, as in hierarchical attention networks (Yang et al., NAACL 2016,
    eq. 8 to 10): a tower may not look at the candidate. Of two items alike, the weights are as (1 + days)^fading, with
    a learned exponent, 0 at first: forgetting is a power law (Wixted & Ebbesen, Psychological Science 1991).
    """

    def __init__(self, length: int, dim: int) -> None:
        super().__init__()
        self.project = nn.Linear(dim, dim)
        self.query = nn.Linear(dim, 1, bias=False)
        self.place = nn.Parameter(torch.zeros(length))
        self.fading = nn.Parameter(torch.zeros(()))

    def forward(self, embedded: Tensor, known: Tensor, ages: Tensor) -> Tensor:
        """(B, L, D), mask (B, L) and ages (B, L), log(1 + days) → (B, D)."""
        content = self.query(torch.tanh(self.project(embedded))).squeeze(-1)  # (B, L)
        score = content + self.place + self.fading * ages
        weight = torch.softmax(score.masked_fill(~known, -1e9), dim=1) * known
        return torch.einsum("bl,bld->bd", weight, embedded)


class TargetAttention(nn.Module):
    """DIN's local activation unit (Zhou et al., KDD 2018, section 4.3): weights by candidate, not normalised.

    Beside the two embeddings it sees the item's age.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.unit = nn.Sequential(nn.Linear(4 * dim + 1, 32), nn.PReLU(), nn.Linear(32, 1))

    def forward(self, embedded: Tensor, known: Tensor, ages: Tensor, target: Tensor) -> Tensor:
        """History (B, L, D), mask (B, L), ages (B, L), log(1 + days), candidate (B, D) → (B, D)."""
        candidate = target.unsqueeze(1).expand_as(embedded)
        seen = [embedded, candidate, embedded * candidate, embedded - candidate, ages.unsqueeze(-1)]
        weight = self.unit(torch.cat(seen, dim=-1)).squeeze(-1) * known  # (B, L, 4D + 1) → (B, L)
        return torch.einsum("bl,bld->bd", weight, embedded)
