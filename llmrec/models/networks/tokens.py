"""Dense features as the tokens of an attention network."""

import math

import torch
from torch import Tensor, nn

from llmrec.models.networks.fusion import Families


class FeatureTokens(nn.Module):
    """A scalar column is its value times a vector, plus a vector (Gorishniy et al., NeurIPS 2021, section 3.3).

    A family of more than `wide` columns, such as a text's vector, is one token: a linear map of it.
    """

    single: Tensor

    def __init__(self, families: Families, dim: int, wide: int) -> None:
        super().__init__()
        single = [place for places in families.values() if len(places) <= wide for place in places]
        together = [list(places) for places in families.values() if len(places) > wide]
        self.n_tokens = len(single) + len(together)
        self.register_buffer("single", torch.tensor(single, dtype=torch.int64), persistent=False)
        for k, places in enumerate(together):
            self.register_buffer(f"places_{k}", torch.tensor(places, dtype=torch.int64), persistent=False)
        bound = 1 / math.sqrt(dim)
        self.scale = nn.Parameter(torch.empty(len(single), dim).uniform_(-bound, bound))
        self.shift = nn.Parameter(torch.empty(len(single), dim).uniform_(-bound, bound))
        self.project = nn.ModuleList(nn.Linear(len(places), dim) for places in together)

    def forward(self, dense: Tensor) -> Tensor:
        """(B, D) → (B, n_tokens, dim)."""
        scalars = dense[:, self.single].unsqueeze(2) * self.scale + self.shift
        vectors = [p(dense[:, getattr(self, f"places_{k}")]).unsqueeze(1) for k, p in enumerate(self.project)]
        return torch.cat([scalars, *vectors], dim=1)
