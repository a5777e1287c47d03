"""DeepFM: a factorisation machine and a deep network on shared embeddings."""

from typing import Literal

import torch
from torch import Tensor, nn

from llmrec.models.base import ModelInfo
from llmrec.models.networks.layers import mlp
from llmrec.models.rankers.click_network import Inputs, NetworkConfig
from llmrec.models.rankers.fm import FM
from llmrec.models.rankers.network_ranker import NetworkRanker


class DeepFMConfig(NetworkConfig):
    name: Literal["deepfm"] = "deepfm"
    hidden: tuple[int, ...] = (64, 32)


class DeepFM(nn.Module):
    """Sigmoid input y_FM + y_DNN over shared embeddings (Guo et al., IJCAI 2017, eq. 1 to 4)."""

    def __init__(self, config: DeepFMConfig, inputs: Inputs) -> None:
        super().__init__()
        self.fm = FM(config, inputs)
        self.deep = mlp((inputs.dim, *config.hidden), config.dropout)
        self.out = nn.Linear((inputs.dim, *config.hidden)[-1], 1)

    def forward(self, embedded: Tensor, dense: Tensor) -> Tensor:
        """Embeddings (B, F, k) and dense features (B, D) → logits (B,)."""
        x = torch.cat([embedded.flatten(1), dense], dim=1)
        logits: Tensor = self.fm(embedded, dense) + self.out(self.deep(x)).squeeze(1)
        return logits


class DeepFMRanker(NetworkRanker):
    Config = DeepFMConfig
    INFO = ModelInfo("DeepFM", "factorisation machine and deep network over ids, history and dense features",
                     "features", "Guo et al., IJCAI 2017", output="probability")  # fmt: skip
    body = DeepFM
