"""Factorisation machine: all pairwise interactions of ids and dense features, in linear time."""

from typing import Literal

import torch
from torch import Tensor, nn

from llmrec.models.base import ModelInfo
from llmrec.models.rankers.click_network import Inputs, NetworkConfig
from llmrec.models.rankers.network_ranker import NetworkRanker


class FMConfig(NetworkConfig):
    name: Literal["fm"] = "fm"


def pairwise_interactions(embedded: Tensor, dense: Tensor, latent: Tensor) -> Tensor:
    """Fields (B, F, k), and (B, D) values with vectors (D, k) → (B,): sum of <v_i, v_j> over i < j of all F + D.

    In linear time (Rendle, ICDM 2010, lemma 3.1). The dense fields, each its value times its vector, are only ever
    summed: two products of matrices, where laid out they would be D tables of a batch.
    """
    total = embedded.sum(1) + dense @ latent
    squares = embedded.square().sum(1) + dense.square() @ latent.square()
    return 0.5 * (total.square() - squares).sum(1)


class FM(nn.Module):
    """First order and pairs (Rendle, ICDM 2010, eq. 1). A dense feature is a field: its value times a vector."""

    def __init__(self, config: NetworkConfig, inputs: Inputs) -> None:
        super().__init__()
        self.first_order = nn.Linear(inputs.dim, 1)
        self.latent = nn.Parameter(torch.randn(inputs.dense_dim, config.embedding_dim) * 0.05)

    def forward(self, embedded: Tensor, dense: Tensor) -> Tensor:
        """Embeddings (B, F, k) and dense features (B, D) → logits (B,)."""
        x = torch.cat([embedded.flatten(1), dense], dim=1)
        logits: Tensor = self.first_order(x).squeeze(1) + pairwise_interactions(embedded, dense, self.latent)
        return logits


class FMRanker(NetworkRanker):
    Config = FMConfig
    INFO = ModelInfo("FM", "factorisation machine over ids, history and dense features", "features",
                     "Rendle, ICDM 2010", output="probability")  # fmt: skip
    body = FM
