"""The network of a click-through (CTR) ranker: ids, history and dense features into a body that each ranker names."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, Self

import torch
from pydantic import Field
from torch import Tensor, nn

from llmrec.models.base import ModelContext
from llmrec.models.networks.fusion import Families, places_of_families
from llmrec.models.networks.layers import IdEmbedding, MeanPool, TargetAttention
from llmrec.models.networks.optimization import OptimizationConfig


class NetworkConfig(OptimizationConfig):
    """What the settings of every click network hold."""

    embedding_dim: int = Field(16, ge=1)
    history: Literal["mean", "din"] = Field("mean", description="din: attention of the candidate over past items")
    dropout: float = Field(0.2, ge=0, lt=1)
    epochs: int = Field(8, ge=1, description="at most; validation chooses how many")
    patience: int = Field(2, ge=1, description="epochs without a better validation metric before the search ends")
    batch_size: int = Field(512, ge=2, description="examples a worker and step")
    id_dropout: float = Field(0.5, ge=0, lt=1)


@dataclass(frozen=True)
class Inputs:
    """What a body reads of a row: `n_fields` embeddings of `embedding_dim` numbers, then the dense columns.

    `sides`: side (`user`, `item`, `pair`) → family → places of its columns among the dense ones.
    """

    n_fields: int
    embedding_dim: int
    sides: Mapping[str, Families]

    @property
    def families(self) -> Families:
        """Of all sides."""
        return {name: places for families in self.sides.values() for name, places in families.items()}

    @property
    def dense_dim(self) -> int:
        return sum(len(places) for places in self.families.values())

    @property
    def dim(self) -> int:
        """Embeddings and dense columns side by side."""
        return self.n_fields * self.embedding_dim + self.dense_dim


def sides_of(context: ModelContext) -> dict[str, Families]:
    """What `Inputs.sides` is in a context."""
    found, begin = dict[str, Families](), 0
    for side, columns in context.columns.items():
        found[side] = {name: [begin + p for p in places] for name, places in places_of_families(columns).items()}
        begin += len(columns)
    return found


#: (settings, Inputs) → a module: embeddings (B, F, k), dense (B, D) → (B,).
Body = Callable[..., nn.Module]


class ClickNetwork(nn.Module):
    """P(click | user, item, time) as a logit. Fields: user id, item id, pooled history; then the dense features.

    `n_users`, `n_items`: sizes of the vocabularies, index 0 being "unknown".
    """

    N_FIELDS = 3

    def __init__(
        self, config: NetworkConfig, body: Body, n_users: int, n_items: int, sides: Mapping[str, Families]
    ) -> None:
        super().__init__()
        self.config, k = config, config.embedding_dim
        self.users = IdEmbedding(n_users, k, config.id_dropout)
        self.items = IdEmbedding(n_items, k, config.id_dropout)
        self.pool = TargetAttention(k) if config.history == "din" else MeanPool()
        self.body = body(config, Inputs(self.N_FIELDS, k, sides))

    @classmethod
    def of(cls, config: NetworkConfig, body: Body, context: ModelContext) -> Self:
        """With the sizes and families that a variant has."""
        return cls(config, body, context.spec.n_users, context.spec.n_items, sides_of(context))

    def forward(self, user_idx: Tensor, item_idx: Tensor, history: Tensor, ages: Tensor, dense: Tensor) -> Tensor:
        """Logits (B,).

        Args:
            user_idx, item_idx: (B,); `history`: (B, L) item_idx, left-padded with 0.
            ages: (B, L) log(1 + days) since each item of the history.
            dense: (B, D) user ‖ item ‖ pair features.
        """
        logits: Tensor = self.body(self.embed(user_idx, item_idx, history, ages), dense)
        return logits

    def embed(self, user_idx: Tensor, item_idx: Tensor, history: Tensor, ages: Tensor) -> Tensor:
        """(B, 3, k): of the user, of the item, of the history."""
        item = self.items(item_idx)
        past, known = self.items.table(history), history > 0
        seen = (past, known, ages, item) if isinstance(self.pool, TargetAttention) else (past, known, ages)
        pooled = self.pool(*seen)
        return torch.stack([self.users(user_idx), item, pooled], dim=1)
