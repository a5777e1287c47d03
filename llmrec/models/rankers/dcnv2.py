"""DCN V2: explicit feature crosses beside a deep network."""

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from llmrec.models.base import ModelInfo
from llmrec.models.networks.layers import mlp
from llmrec.models.rankers.click_network import Inputs, NetworkConfig
from llmrec.models.rankers.network_ranker import NetworkRanker


class DCNv2Config(NetworkConfig):
    name: Literal["dcnv2"] = "dcnv2"
    structure: Literal["parallel", "stacked"] = Field("parallel", description="cross and deep side by side")
    hidden: tuple[int, ...] = (64, 32)
    cross_layers: int = Field(2, ge=1)
    cross_rank: int | None = Field(32, ge=1, description="rank of each layer's matrix; null: full")


class CrossNetwork(nn.Module):
    """x_{l+1} = x_0 ⊙ (W_l x_l + b_l) + x_l (DCN V2: Wang et al., WWW 2021, section 3.2, eq. 1).

    With `rank`, W_l = U_l V_l^T with V_l (dim, rank) (section 3.3, eq. 2): text makes dim large and W_l costly.
    """

    def __init__(self, dim: int, n_layers: int, rank: int | None = None) -> None:
        super().__init__()
        self.layers = nn.ModuleList(_cross_layer(dim, rank) for _ in range(n_layers))

    def forward(self, x0: Tensor) -> Tensor:
        """(B, D) → (B, D)."""
        x = x0
        for layer in self.layers:
            x = x0 * layer(x) + x
        return x


def _cross_layer(dim: int, rank: int | None) -> nn.Module:
    if rank is None or rank >= dim:
        return nn.Linear(dim, dim)
    return nn.Sequential(nn.Linear(dim, rank, bias=False), nn.Linear(rank, dim))


class DCNv2(nn.Module):
    """Cross network and deep network, side by side or one upon the other (Wang et al., 2021, section 3.4)."""

    def __init__(self, config: DCNv2Config, inputs: Inputs) -> None:
        super().__init__()
        dim = inputs.dim
        self.stacked = config.structure == "stacked"
        self.cross = CrossNetwork(dim, config.cross_layers, config.cross_rank)
        self.deep = mlp((dim, *config.hidden), config.dropout)
        deep_dim = (dim, *config.hidden)[-1]
        self.out = nn.Linear(deep_dim if self.stacked else dim + deep_dim, 1)

    def forward(self, embedded: Tensor, dense: Tensor) -> Tensor:
        """Embeddings (B, F, k) and dense features (B, D) → logits (B,)."""
        x = torch.cat([embedded.flatten(1), dense], dim=1)
        crossed = self.cross(x)
        joint = self.deep(crossed) if self.stacked else torch.cat([crossed, self.deep(x)], dim=1)
        logits: Tensor = self.out(joint).squeeze(1)
        return logits


class DCNv2Ranker(NetworkRanker):
    Config = DCNv2Config
    INFO = ModelInfo("DCN V2", "cross network and deep network over ids, history and dense features", "features",
                     "Wang et al., WWW 2021", output="probability")  # fmt: skip
    body = DCNv2
