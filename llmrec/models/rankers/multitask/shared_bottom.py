"""Shared bottom: one network for all outcomes, and a tower of each one's own."""

from typing import Literal

import torch
from torch import Tensor, nn

from llmrec.models.base import ModelInfo
from llmrec.models.networks.layers import mlp
from llmrec.models.rankers.click_network import Inputs
from llmrec.models.rankers.multitask.config import MultiTaskConfig
from llmrec.models.rankers.multitask.network import beside, towers
from llmrec.models.rankers.multitask.ranker import MultiTaskRanker


class SharedBottomConfig(MultiTaskConfig):
    name: Literal["shared_bottom"] = "shared_bottom"


class SharedBottom(nn.Module):
    """Hard sharing of the lower layers (Caruana, Machine Learning 28, 1997)."""

    def __init__(self, config: SharedBottomConfig, inputs: Inputs) -> None:
        super().__init__()
        self.bottom = mlp((inputs.dim, *config.hidden), config.dropout)
        self.towers = towers(config.hidden[-1], config)

    def forward(self, embedded: Tensor, dense: Tensor) -> Tensor:
        """Embeddings (B, F, k) and dense features (B, D) → (B, K)."""
        shared = self.bottom(beside(embedded, dense))
        return torch.cat([tower(shared) for tower in self.towers], dim=1)


class SharedBottomRanker(MultiTaskRanker):
    Config = SharedBottomConfig
    INFO = ModelInfo("Shared bottom", "one network for all outcomes, and a tower of each", "features",
                     "Caruana, 1997", output="probability")  # fmt: skip
    body = SharedBottom
