"""NCF: an MLP on user and item ids, fitted on labelled rows."""

from typing import Literal

import torch
from torch import Tensor, nn

from llmrec.models.base import ModelInfo
from llmrec.models.networks.layers import mlp
from llmrec.models.rankers.click_network import Inputs, NetworkConfig
from llmrec.models.rankers.network_ranker import NetworkRanker


class NCFRankerConfig(NetworkConfig):
    name: Literal["ncf"] = "ncf"
    hidden: tuple[int, ...] = (32, 16)


class IdMlp(nn.Module):
    """He et al., "Neural Collaborative Filtering" (WWW 2017): the MLP of section 3.3 reads the product of 3.2 too."""

    def __init__(self, config: NCFRankerConfig, inputs: Inputs) -> None:
        super().__init__()
        width = 3 * config.embedding_dim
        self.deep = mlp((width, *config.hidden), config.dropout)
        self.out = nn.Linear((width, *config.hidden)[-1], 1)

    def forward(self, embedded: Tensor, dense: Tensor) -> Tensor:
        """Embeddings (B, F, k) → logits (B,); dense features are not read."""
        user, item = embedded[:, 0], embedded[:, 1]
        logits: Tensor = self.out(self.deep(torch.cat([user, item, user * item], dim=1))).squeeze(1)
        return logits


class NCFRanker(NetworkRanker):
    Config = NCFRankerConfig
    INFO = ModelInfo("NCF (MLP on ids)", "an MLP over user and item embeddings", "features", "He et al., WWW 2017",
                     output="probability")  # fmt: skip
    body = IdMlp

    def reads_columns(self) -> tuple[str, ...]:
        return ()
