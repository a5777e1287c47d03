"""NCF: an MLP on user and item ids."""

from typing import Literal

import torch
from torch import Tensor, nn

from llmrec.models.base import Arrays, FitData, ModelInfo
from llmrec.models.retrievers.id_network import IdNetwork, IdNetworkConfig


class NCFConfig(IdNetworkConfig):
    name: Literal["ncf"] = "ncf"


class Mlp(nn.Module):
    """He et al., "Neural Collaborative Filtering" (WWW 2017): the MLP of section 3.3 reads the product of 3.2 too."""

    def __init__(self, n_users: int, n_items: int, dim: int) -> None:
        super().__init__()
        self.user, self.item = nn.Embedding(n_users, dim), nn.Embedding(n_items, dim)
        self.layers = nn.Sequential(
            nn.Linear(3 * dim, dim), nn.ReLU(), nn.Linear(dim, dim // 2), nn.ReLU(), nn.Linear(dim // 2, 1)
        )
        for table in (self.user, self.item):
            nn.init.normal_(table.weight, std=0.3)

    def forward(self, user: Tensor, item: Tensor) -> Tensor:
        """(B,) logits."""
        u, i = self.user(user), self.item(item)
        logits: Tensor = self.layers(torch.cat([u, i, u * i], dim=-1)).squeeze(-1)
        return logits


class NCF(IdNetwork):
    Config = NCFConfig
    INFO = ModelInfo(
        "NCF (MLP on ids)", "MLP over user and item embeddings; users that training never saw get the fallback",
        "events", "He et al., WWW 2017",
    )  # fmt: skip

    def module(self, data: FitData, side: Arrays) -> nn.Module:
        return Mlp(data.data.n_users - 1, data.data.n_items - 1, self.config.dim)
