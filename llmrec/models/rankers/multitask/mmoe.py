"""MMoE: experts that all outcomes share, mixed by a gate of each outcome's own."""

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from llmrec.models.base import ModelInfo
from llmrec.models.rankers.click_network import Inputs
from llmrec.models.rankers.multitask.config import MultiTaskConfig
from llmrec.models.rankers.multitask.network import Experts, beside, mixed, towers
from llmrec.models.rankers.multitask.ranker import MultiTaskRanker


class MMoEConfig(MultiTaskConfig):
    name: Literal["mmoe"] = "mmoe"
    experts: int = Field(4, ge=1)


class MMoE(nn.Module):
    """f_k(x) = Σ_i softmax(W_k x)_i · expert_i(x), then tower k (Ma et al., KDD 2018, eq. 5 to 7)."""

    def __init__(self, config: MMoEConfig, inputs: Inputs) -> None:
        super().__init__()
        self.experts = Experts(config.experts, (inputs.dim, *config.hidden), config.dropout)
        self.gates = nn.ModuleList(nn.Linear(inputs.dim, config.experts) for _ in config.outcomes)
        self.towers = towers(config.hidden[-1], config)

    def forward(self, embedded: Tensor, dense: Tensor) -> Tensor:
        """Embeddings (B, F, k) and dense features (B, D) → (B, K)."""
        x = beside(embedded, dense)
        said = self.experts(x)
        own = zip(self.towers, self.gates, strict=True)
        return torch.cat([tower(mixed(gate(x), said)) for tower, gate in own], dim=1)


class MMoERanker(MultiTaskRanker):
    Config = MMoEConfig
    INFO = ModelInfo("MMoE", "experts that all outcomes share, mixed by a gate of each", "features",
                     "Ma et al., KDD 2018", output="probability")  # fmt: skip
    body = MMoE
