"""AutoInt: self-attention over fields finds which of them interact."""

from itertools import pairwise
from typing import Literal

import torch
import torch.nn.functional as F
from pydantic import Field, model_validator
from torch import Tensor, nn

from llmrec.models.base import ModelInfo
from llmrec.models.networks.layers import mlp
from llmrec.models.networks.tokens import FeatureTokens
from llmrec.models.rankers.click_network import Inputs, NetworkConfig
from llmrec.models.rankers.network_ranker import NetworkRanker


class AutoIntConfig(NetworkConfig):
    name: Literal["autoint"] = "autoint"
    layers: int = Field(2, ge=1)
    heads: int = Field(2, ge=1)
    attention_dim: int = Field(32, ge=1, description="width of a layer's output, over all heads")
    token_columns: int = Field(
        16, ge=0, description="a feature family of more columns than this is one field; of others each column is one"
    )
    hidden: tuple[int, ...] = Field((64, 32), description="of the deep network beside it (AutoInt+); empty: none")

    @model_validator(mode="after")
    def _heads_share_the_width(self) -> "AutoIntConfig":
        if self.attention_dim % self.heads:
            raise ValueError(f"attention_dim must be a multiple of heads ({self.heads}), found {self.attention_dim}")
        return self


class InteractingLayer(nn.Module):
    """Song et al., CIKM 2019, section 4.4, eq. 5 to 8: attention without a scale, and a projected residual path."""

    def __init__(self, dim_in: int, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv, self.residual = nn.Linear(dim_in, 3 * dim, bias=False), nn.Linear(dim_in, dim, bias=False)

    def forward(self, fields: Tensor) -> Tensor:
        """(B, M, dim_in) → (B, M, dim)."""
        b, m, _ = fields.shape
        q, k, v = self.qkv(fields).view(b, m, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        attended = F.scaled_dot_product_attention(q, k, v, scale=1.0).transpose(1, 2).reshape(b, m, -1)
        return F.relu(attended + self.residual(fields))


class AutoInt(nn.Module):
    """Interacting layers over embeddings and features as fields (section 4, eq. 9), and AutoInt+'s deep network."""

    def __init__(self, config: AutoIntConfig, inputs: Inputs) -> None:
        super().__init__()
        self.tokens = FeatureTokens(inputs.families, config.embedding_dim, config.token_columns)
        widths = [config.embedding_dim, *[config.attention_dim] * config.layers]
        self.layers = nn.Sequential(*(InteractingLayer(a, b, config.heads) for a, b in pairwise(widths)))
        self.out = nn.Linear((inputs.n_fields + self.tokens.n_tokens) * config.attention_dim, 1)
        self.deep = mlp((inputs.dim, *config.hidden), config.dropout) if config.hidden else None
        self.deep_out = nn.Linear(config.hidden[-1], 1) if config.hidden else None

    def forward(self, embedded: Tensor, dense: Tensor) -> Tensor:
        """Embeddings (B, F, k) and dense features (B, D) → logits (B,)."""
        fields = torch.cat([embedded, self.tokens(dense)], dim=1)  # (B, M, k)
        logits: Tensor = self.out(self.layers(fields).flatten(1)).squeeze(1)
        if self.deep is not None and self.deep_out is not None:
            logits = logits + self.deep_out(self.deep(torch.cat([embedded.flatten(1), dense], dim=1))).squeeze(1)
        return logits


class AutoIntRanker(NetworkRanker):
    Config = AutoIntConfig
    INFO = ModelInfo("AutoInt", "self-attention over ids, history and dense features as fields, beside a deep network",
                     "features", "Song et al., CIKM 2019", output="probability")  # fmt: skip
    body = AutoInt
