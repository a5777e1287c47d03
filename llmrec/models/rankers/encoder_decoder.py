"""A transformer: the user's features are encoded, the candidate's attend to them."""

from typing import Any, Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from llmrec.models.base import ModelInfo
from llmrec.models.networks.tokens import FeatureTokens
from llmrec.models.rankers.click_network import Inputs, NetworkConfig
from llmrec.models.rankers.network_ranker import NetworkRanker


class EncoderDecoderConfig(NetworkConfig):
    name: Literal["encoder_decoder"] = "encoder_decoder"
    dim: int = Field(32, ge=2)
    layers: int = Field(1, ge=1, description="of the encoder, and of the decoder")
    heads: int = Field(2, ge=1)
    token_columns: int = Field(
        0, ge=0, description="a feature family of more columns than this is one token; of others each column is one"
    )

    @model_validator(mode="after")
    def _heads_share_the_vector(self) -> "EncoderDecoderConfig":
        if self.dim % self.heads:
            raise ValueError(f"dim must be a multiple of heads ({self.heads}), found {self.dim}")
        return self


class EncoderDecoder(nn.Module):
    """Vaswani et al., NIPS 2017, section 3.1, normalised before each part; tokens have no order.

    The encoder reads the user: id, pooled history, features. The decoder reads the candidate, id, features and those of
    the pair, each token attending to all of these and to the user's; their mean is the logit's input.
    """

    def __init__(self, config: EncoderDecoderConfig, inputs: Inputs) -> None:
        super().__init__()
        user, item, pair = (inputs.sides.get(side, {}) for side in ("user", "item", "pair"))
        self.user = FeatureTokens(user, config.dim, config.token_columns)
        self.item = FeatureTokens({**item, **pair}, config.dim, config.token_columns)
        self.fields = nn.ModuleList(nn.Linear(inputs.embedding_dim, config.dim) for _ in range(inputs.n_fields))
        layer: dict[str, Any] = {"d_model": config.dim, "nhead": config.heads, "dim_feedforward": 2 * config.dim,
                 "dropout": config.dropout, "activation": "gelu", "batch_first": True, "norm_first": True}  # fmt: skip
        self.encoder = nn.TransformerEncoder(
            nn.TransformerEncoderLayer(**layer), config.layers, nn.LayerNorm(config.dim), enable_nested_tensor=False
        )
        self.decoder = nn.TransformerDecoder(
            nn.TransformerDecoderLayer(**layer), config.layers, nn.LayerNorm(config.dim)
        )
        self.out = nn.Linear(config.dim, 1)

    def forward(self, embedded: Tensor, dense: Tensor) -> Tensor:
        """Embeddings (B, F, k) of user, item and history, and dense features (B, D) → logits (B,)."""
        user, item, history = (field(embedded[:, k : k + 1]) for k, field in enumerate(self.fields))
        memory = self.encoder(torch.cat([user, history, self.user(dense)], dim=1))
        decoded = self.decoder(torch.cat([item, self.item(dense)], dim=1), memory)
        logits: Tensor = self.out(decoded.mean(dim=1)).squeeze(1)
        return logits


class EncoderDecoderRanker(NetworkRanker):
    Config = EncoderDecoderConfig
    INFO = ModelInfo("Encoder–decoder", "a transformer that encodes the user's features, decoded by the candidate's",
                     "features", "Vaswani et al., NIPS 2017", output="probability")  # fmt: skip
    body = EncoderDecoder
