"""Fusion of feature families, each by name: how the slices of a feature vector become one vector.

A family is a named group of columns (behaviour, text profile, …). `make_fusion` builds a module; its `forward` takes
the features (B, D) and returns (B, `dim`), its `weights` returns the share each family had in an example, which the
evaluation reports (`evaluation/family_weights.py`).
"""

from collections.abc import Mapping, Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from llmrec.features.families.columns import FeatureColumn

FusionName = Literal["concat", "mean", "weighted_sum", "gated", "attention"]
#: Family -> places of its columns.
Families = Mapping[str, Sequence[int]]


class Fusion(nn.Module):
    """Base: cuts features into families. Subclasses set `dim` and implement `forward` and `weights`."""

    def __init__(self, families: Families) -> None:
        super().__init__()
        self.names = tuple(families)
        self.dim = 0
        for k, columns in enumerate(families.values()):
            self.register_buffer(f"columns_{k}", torch.as_tensor(list(columns), dtype=torch.int64), persistent=False)

    def slices(self, features: Tensor) -> list[Tensor]:
        """(B, D) → one (B, d_family) per family."""
        return [features[:, getattr(self, f"columns_{k}")] for k in range(len(self.names))]

    def weights(self, features: Tensor) -> Tensor:
        """(B, n_families): each family's share, rows summing to 1; equal where a fusion has no weights to learn."""
        raise NotImplementedError


class Concat(Fusion):
    """The families side by side: (B, sum of their widths). Nothing is learned."""

    def __init__(self, families: Families, dim: int) -> None:
        super().__init__(families)
        self.dim = sum(len(c) for c in families.values())

    def forward(self, features: Tensor) -> Tensor:
        return torch.cat(self.slices(features), dim=1) if self.names else features[:, :0]

    def weights(self, features: Tensor) -> Tensor:
        return features.new_full((len(features), len(self.names)), 1 / max(len(self.names), 1))


class Projected(Fusion):
    """Families projected to one width and summed by weight; the weights are what subclasses differ in."""

    def __init__(self, families: Families, dim: int) -> None:
        super().__init__(families)
        self.dim = dim
        self.project = nn.ModuleList(nn.Linear(len(c), dim) for c in families.values())

    def projected(self, features: Tensor) -> Tensor:
        """(B, D) → (B, n_families, dim)."""
        slices = self.slices(features)
        return torch.stack([p(x) for p, x in zip(self.project, slices, strict=True)], dim=1)

    def family_weights(self, projected: Tensor) -> Tensor:
        """(B, n_families, dim) → (B, n_families), rows summing to 1."""
        raise NotImplementedError

    def forward(self, features: Tensor) -> Tensor:
        projected = self.projected(features)
        return torch.einsum("bf,bfd->bd", self.family_weights(projected), projected)

    def weights(self, features: Tensor) -> Tensor:
        return self.family_weights(self.projected(features))


class Mean(Projected):
    """Every family counts the same."""

    def family_weights(self, projected: Tensor) -> Tensor:
        return projected.new_full(projected.shape[:2], 1 / projected.shape[1])


class WeightedSum(Projected):
    """One learned weight a family, softmax-normalised, the same for every example."""

    def __init__(self, families: Families, dim: int) -> None:
        super().__init__(families, dim)
        self.logits = nn.Parameter(torch.zeros(len(families)))

    def family_weights(self, projected: Tensor) -> Tensor:
        return torch.softmax(self.logits, 0).expand(projected.shape[:2])


class Gated(Projected):
    """Sigmoid gates from all families together, element by element (gated multimodal unit: Arevalo et al., 2017)."""

    def __init__(self, families: Families, dim: int) -> None:
        super().__init__(families, dim)
        self.gate = nn.Linear(len(families) * dim, len(families) * dim)

    def gates(self, projected: Tensor) -> Tensor:
        """(B, n_families, dim) in (0, 1)."""
        return torch.sigmoid(self.gate(projected.flatten(1))).view_as(projected)

    def family_weights(self, projected: Tensor) -> Tensor:
        mean = self.gates(projected).mean(-1)
        return mean / mean.sum(1, keepdim=True)

    def forward(self, features: Tensor) -> Tensor:
        projected = self.projected(features)
        return (self.gates(projected) * torch.tanh(projected)).sum(1)


class Attention(Projected):
    """Softmax attention over families, an example at a time; the query is learned."""

    def __init__(self, families: Families, dim: int) -> None:
        super().__init__(families, dim)
        self.score = nn.Sequential(nn.Linear(dim, dim), nn.Tanh(), nn.Linear(dim, 1, bias=False))

    def family_weights(self, projected: Tensor) -> Tensor:
        return torch.softmax(self.score(projected).squeeze(-1), dim=1)


def make_fusion(name: str, families: Families, dim: int) -> Fusion:
    """The fusion called `name` over `families` (name → column indices); `dim` is the width of all but `concat`.

    Raises ValueError for an unknown name, or a family without columns.
    """
    kinds: dict[str, type[Concat] | type[Projected]] = {
        "concat": Concat, "mean": Mean, "weighted_sum": WeightedSum, "gated": Gated, "attention": Attention,
    }  # fmt: skip
    if name not in kinds:
        raise ValueError(f"fusion: found {name!r}, expected one of {', '.join(kinds)}")
    empty = [family for family, columns in families.items() if not len(columns)]
    if empty:
        raise ValueError(f"fusion: families {empty} have no columns; leave them out")
    if not families:
        return Concat(families, dim)
    return kinds[name](families, dim)


def places_of_families(columns: Sequence[FeatureColumn]) -> dict[str, list[int]]:
    """Family -> places of its columns."""
    families: dict[str, list[int]] = {}
    for place, column in enumerate(columns):
        families.setdefault(column.family, []).append(place)
    return families
