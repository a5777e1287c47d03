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

    def forward(self, embedded: Tensor, known: Tensor) -> Tensor:
        """(B, L, D) and mask (B, L) → (B, D)."""
        weight = known.to(embedded.dtype).unsqueeze(-1)  # (B, L, 1)
        return (embedded * weight).sum(1) / weight.sum(1).clamp(min=1)


class AttentionPool(nn.Module):
    """Softmax attention over a history from each item's embedding and its place in the sequence.

    The query is learned and the same for everybody, as in hierarchical attention networks (Yang et al., NAACL 2016,
    eq. 8 to 10): a tower may not look at the candidate.
    """

    def __init__(self, length: int, dim: int) -> None:
        super().__init__()
        self.project = nn.Linear(dim, dim)
        self.query = nn.Linear(dim, 1, bias=False)
        self.place = nn.Parameter(torch.zeros(length))

    def forward(self, embedded: Tensor, known: Tensor) -> Tensor:
        """(B, L, D) and mask (B, L) → (B, D)."""
        score = self.query(torch.tanh(self.project(embedded))).squeeze(-1) + self.place  # (B, L)
        weight = torch.softmax(score.masked_fill(~known, -1e9), dim=1) * known
        return torch.einsum("bl,bld->bd", weight, embedded)


class TargetAttention(nn.Module):
    """DIN's local activation unit (Zhou et al., KDD 2018, section 4.3): weights by candidate, not normalised."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.unit = nn.Sequential(nn.Linear(4 * dim, 32), nn.PReLU(), nn.Linear(32, 1))

    def forward(self, embedded: Tensor, known: Tensor, target: Tensor) -> Tensor:
        """History (B, L, D), mask (B, L), candidate (B, D) → (B, D)."""
        candidate = target.unsqueeze(1).expand_as(embedded)
        pair = torch.cat([embedded, candidate, embedded * candidate, embedded - candidate], dim=-1)  # (B, L, 4D)
        weight = self.unit(pair).squeeze(-1) * known  # (B, L)
        return torch.einsum("bl,bld->bd", weight, embedded)
