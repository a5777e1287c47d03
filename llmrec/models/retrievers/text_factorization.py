"""Matrix factorisation with the items' text as side information."""

from typing import Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from llmrec.features.asof.text_profiles import text_axes
from llmrec.models.base import Arrays, FitData, ModelInfo
from llmrec.models.retrievers.id_network import IdNetwork, IdNetworkConfig


class TextFactorizationConfig(IdNetworkConfig):
    name: Literal["text_factorization"] = "text_factorization"
    text_dim: int = Field(32, ge=1)


class TextFactors(nn.Module):
    """Dot product of a user's factors with an item's factors + a linear map of its text (as LightFM: Kula 2015)."""

    text: Tensor

    def __init__(self, n_users: int, n_items: int, dim: int, text: Tensor) -> None:
        super().__init__()
        self.user, self.item = nn.Embedding(n_users, dim), nn.Embedding(n_items, dim)
        self.bias = nn.Embedding(n_items, 1)
        self.map = nn.Linear(text.shape[1], dim, bias=False)
        self.register_buffer("text", text, persistent=False)
        for table in (self.user, self.item, self.bias):
            nn.init.normal_(table.weight, std=0.05)

    def forward(self, user: Tensor, item: Tensor) -> Tensor:
        """(B,) logits."""
        factors = self.item(item) + self.map(self.text[item])
        logits: Tensor = (self.user(user) * factors).sum(dim=-1) + self.bias(item).squeeze(-1)
        return logits


class TextFactorization(IdNetwork):
    Config = TextFactorizationConfig
    INFO = ModelInfo(
        "MF + text", "matrix factorisation; item factors are free factors + a map of the reviews", "text",
        "Kula, CBRecSys 2015",
    )  # fmt: skip

    def side(self, data: FitData) -> Arrays:
        """`text` (n_items − 1, dim): unit means of the items' training reviews."""
        assert data.vectors is not None
        reviews, items = data.vectors[data.train], data.data.item[data.train] - 1
        small = text_axes(data.vectors, data.train, self.config.text_dim)(reviews, "review")
        total = np.zeros((data.data.n_items - 1, small.shape[1]), np.float32)
        np.add.at(total, items, small)
        norm = np.linalg.norm(total, axis=1, keepdims=True)
        return {"text": total / np.where(norm > 0, norm, 1)}

    def module(self, data: FitData, side: Arrays) -> nn.Module:
        return TextFactors(data.data.n_users - 1, data.data.n_items - 1, self.config.dim, torch.tensor(side["text"]))
