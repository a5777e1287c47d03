"""SASRec: causal self-attention over what a user had."""

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from llmrec.models.base import ModelInfo
from llmrec.models.retrievers.sequential.net import BUCKETS, SequenceConfig
from llmrec.models.retrievers.sequential.retriever import SequenceRetriever

_NEVER = -1e9


class SasrecConfig(SequenceConfig):
    name: Literal["sasrec"] = "sasrec"
    positions: Literal["learned", "sinusoidal", "rotary", "none"] = Field(
        "learned", description="how the order of a sequence is known"
    )


class SasrecBlock(nn.Module):
    """Self-attention, then a feed-forward layer, each around a residual path, normalised before."""

    def __init__(self, config: SasrecConfig, length: int) -> None:
        super().__init__()
        self.heads, self.dropout, self.rotary = config.heads, config.dropout, config.positions == "rotary"
        self.norm, self.norm_ff = nn.LayerNorm(config.dim), nn.LayerNorm(config.dim)
        self.qkv, self.out = nn.Linear(config.dim, 3 * config.dim), nn.Linear(config.dim, config.dim)
        self.ages = nn.Embedding(BUCKETS, config.heads)
        nn.init.zeros_(self.ages.weight)
        self.feed_forward = nn.Sequential(
            nn.Linear(config.dim, 4 * config.dim), nn.GELU(), nn.Dropout(config.dropout),
            nn.Linear(4 * config.dim, config.dim), nn.Dropout(config.dropout),
        )  # fmt: skip

    def forward(self, x: Tensor, allowed: Tensor, buckets: Tensor | None) -> Tensor:
        """See `Block`."""
        b, n, dim = x.shape
        q, k, v = self.qkv(self.norm(x)).view(b, n, 3, self.heads, dim // self.heads).permute(2, 0, 3, 1, 4)
        if self.rotary:
            q, k = rotated(q), rotated(k)
        bias = x.new_zeros(()) if buckets is None else self.ages(buckets).permute(0, 3, 1, 2)
        mask = torch.where(allowed.unsqueeze(1), bias, _NEVER)
        seen = F.scaled_dot_product_attention(q, k, v, mask, self.dropout if self.training else 0.0)
        x = x + F.dropout(self.out(seen.transpose(1, 2).reshape(b, n, dim)), self.dropout, self.training)
        found: Tensor = x + self.feed_forward(self.norm_ff(x))
        return found


def rotated(x: Tensor) -> Tensor:
    """(B, H, L, d) turned by its place, pairs of dimensions as planes (RoPE: Su et al., 2021, section 3.2)."""
    n, d = x.shape[-2:]
    angle = torch.arange(n, device=x.device)[:, None] * 10_000 ** (-torch.arange(0, d, 2, device=x.device) / d)
    cos, sin = angle.cos(), angle.sin()
    a, b = x[..., 0::2], x[..., 1::2]
    return torch.stack([a * cos - b * sin, a * sin + b * cos], dim=-1).flatten(-2)


class SasrecRetriever(SequenceRetriever):
    """Kang & McAuley, "Self-attentive sequential recommendation" (ICDM 2018).

    The time bias is that of HSTU, buckets by doubling, as of when each place is asked.
    """

    Config = SasrecConfig
    INFO = ModelInfo(
        "SASRec", "causal self-attention over the user's items, on ids, words or both, with time gaps", "features",
        "Kang & McAuley, ICDM 2018; Tikhonovich et al., RecSys 2025", needs_clock=True,
    )  # fmt: skip
    block = SasrecBlock
