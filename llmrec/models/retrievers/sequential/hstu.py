"""HSTU: aggregation of what a user had, weighted place by place and not normalised over the sequence."""

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from llmrec.models.base import ModelInfo
from llmrec.models.retrievers.sequential.net import BUCKETS, SequenceConfig
from llmrec.models.retrievers.sequential.retriever import SequenceRetriever


class HstuConfig(SequenceConfig):
    name: Literal["hstu"] = "hstu"
    positions: Literal["learned", "sinusoidal", "none"] = Field(
        "learned", description="how places are known beside their distances, which the attention always sees"
    )


class HstuBlock(nn.Module):
    """Zhai et al., "Actions speak louder than words" (ICML 2024), section 3, eq. 1 to 3.

    SiLU in place of the softmax keeps how much there was; U gates what was gathered. The relative bias is a number a
    head for each distance in places, and one for each doubling of the time between; sums are over `length` places.
    """

    def __init__(self, config: HstuConfig, length: int) -> None:
        super().__init__()
        self.heads, self.dropout, self.length = config.heads, config.dropout, length
        self.norm, self.norm_out = nn.LayerNorm(config.dim), nn.LayerNorm(config.dim)
        self.uvqk, self.out = nn.Linear(config.dim, 4 * config.dim), nn.Linear(config.dim, config.dim)
        self.distance, self.ages = nn.Embedding(length, config.heads), nn.Embedding(BUCKETS, config.heads)
        nn.init.normal_(self.distance.weight, std=0.02)
        nn.init.zeros_(self.ages.weight)

    def forward(self, x: Tensor, allowed: Tensor, buckets: Tensor | None) -> Tensor:
        """See `Block`."""
        b, n, dim = x.shape
        u, *vqk = torch.split(F.silu(self.uvqk(self.norm(x))), dim, dim=-1)
        v, q, k = (part.view(b, n, self.heads, -1).transpose(1, 2) for part in vqk)
        weights = F.silu(q @ k.transpose(2, 3) + self.bias(n, buckets)) / self.length  # (B, H, L, L)
        gathered = (weights * allowed.unsqueeze(1)) @ v
        gated = self.norm_out(gathered.transpose(1, 2).reshape(b, n, dim)) * u
        found: Tensor = x + self.out(F.dropout(gated, self.dropout, self.training))
        return found

    def bias(self, n: int, buckets: Tensor | None) -> Tensor:
        """(1 or B, H, n, n) by distance in places and by time."""
        place = torch.arange(n, device=self.distance.weight.device)
        apart = (place[:, None] - place).clamp(min=0)
        found: Tensor = self.distance(apart).permute(2, 0, 1).unsqueeze(0)
        return found if buckets is None else found + self.ages(buckets).permute(0, 3, 1, 2)


class HstuRetriever(SequenceRetriever):
    """Trained and asked as SASRec is; its blocks alone differ."""

    Config = HstuConfig
    INFO = ModelInfo(
        "HSTU", "gated pointwise attention over the user's items, on ids, words or both, by distance and time",
        "features", "Zhai et al., ICML 2024", needs_clock=True,
    )  # fmt: skip
    block = HstuBlock
