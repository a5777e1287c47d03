"""The retrieval model: a user tower and an item tower whose dot product is the score."""

import math
from typing import Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from llmrec.models.base import ModelContext
from llmrec.models.networks.fusion import Families, FusionName, make_fusion, places_of_families
from llmrec.models.networks.layers import AttentionPool, IdEmbedding, MeanPool, mlp
from llmrec.models.networks.optimization import OptimizationConfig


class TwoTowerConfig(OptimizationConfig):
    """Two-tower retrieval."""

    name: Literal["two_tower"] = "two_tower"
    dim: int = Field(32, ge=2, description="length of the unit vectors; an item's bias is one dimension more")
    hidden: tuple[int, ...] = Field((64,), description="widths of each tower's hidden layers; empty: linear towers")
    history: Literal["mean", "attention"] = Field("mean", description="how the embeddings of past items are pooled")
    fusion: FusionName = Field("concat", description="how the feature families of a tower are joined")
    epochs: int = Field(15, ge=1, description="at most; validation chooses how many")
    patience: int = Field(3, ge=1, description="epochs without a better validation metric before the search ends")
    batch_size: int = Field(256, ge=2, description="positives a worker and step; they are neighbours in time")
    sampled_negatives: int = Field(
        512, ge=0,
        description="uniformly drawn items a batch beside the in-batch ones, at most as many as there are items",
    )  # fmt: skip
    temperature: float = Field(1.0, gt=0, description="divides the cosine; the start value where it is learned")
    learn_temperature: bool = True
    dropout: float = Field(0.2, ge=0, lt=1)
    id_dropout: float = Field(0.5, ge=0, lt=1, description="share of ids replaced by `unknown`, so that new ones work")


class Tower(nn.Module):
    """Dense features (fused) and embeddings → a unit vector: hidden layers plus a linear path around them."""

    def __init__(self, config: TwoTowerConfig, embedded_dim: int, families: Families) -> None:
        super().__init__()
        self.fusion = make_fusion(config.fusion, families, config.dim)
        width = embedded_dim + self.fusion.dim
        self.hidden = mlp((width, *config.hidden), config.dropout)
        self.deep = nn.Linear((width, *config.hidden)[-1], config.dim)
        self.wide = nn.Linear(width, config.dim, bias=False)

    def forward(self, embedded: Tensor, features: Tensor) -> Tensor:
        """(B, E) and (B, D) → (B, dim), L2-normalised."""
        x = torch.cat([embedded, self.fusion(features)], dim=1)
        return F.normalize(self.deep(self.hidden(x)) + self.wide(x), dim=1)


class ItemBias(nn.Module):
    """(I, Di) → (I, 1): linear, 0 at first; of no features it is 0."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1, dim))

    def forward(self, features: Tensor) -> Tensor:
        return F.linear(features, self.weight)


class TwoTower(nn.Module):
    """score(u, i) = cosine(user tower, item tower) / temperature + bias(item features).

    Unit vectors and a temperature follow Yi et al. (RecSys 2019, section 3.2). The bias is linear in the item's dense
    features, so popularity as of now needs no place in the unit vectors. Both are folded into the vectors: a user's is
    (unit / temperature, 1), an item's (unit, bias), so the score is their dot product, as nearest-neighbour search
    wants it. Every vector has `vector_dim` = dim + 1 numbers.

    `n_users`, `n_items`: sizes of the vocabularies, index 0 being "unknown". `*_families` name groups of columns for
    fusion; one family of all columns where absent.
    """

    def __init__(
        self,
        config: TwoTowerConfig,
        n_users: int,
        n_items: int,
        user_dim: int,
        item_dim: int,
        history_length: int = 20,
        user_families: Families | None = None,
        item_families: Families | None = None,
    ) -> None:
        super().__init__()
        self.config, self.vector_dim = config, config.dim + 1
        self.user_dim, self.item_dim = user_dim, item_dim
        self.users = IdEmbedding(n_users, config.dim, config.id_dropout)
        self.items = IdEmbedding(n_items, config.dim, config.id_dropout)
        self.pool = AttentionPool(history_length, config.dim) if config.history == "attention" else MeanPool()
        self.user_tower = Tower(config, 2 * config.dim, _families(user_families, user_dim))
        self.item_tower = Tower(config, config.dim, _families(item_families, item_dim))
        self.bias = ItemBias(item_dim)
        self.log_scale = nn.Parameter(
            torch.tensor(-math.log(config.temperature)), requires_grad=config.learn_temperature
        )

    @classmethod
    def of(cls, config: TwoTowerConfig, context: ModelContext) -> "TwoTower":
        """With the sizes and families that a variant has."""
        spec, columns = context.spec, context.columns
        return cls(
            config, spec.n_users, spec.n_items, len(columns["user"]), len(columns["item"]), context.history_length,
            places_of_families(columns["user"]), places_of_families(columns["item"]),
        )  # fmt: skip

    def user_vectors(self, user_idx: Tensor, history: Tensor, ages: Tensor, features: Tensor) -> Tensor:
        """(B,), (B, L) item_idx left-padded with 0, (B, L) log(1 + days) since, (B, Du) → (B, vector_dim)."""
        pooled = self.pool(self.items.table(history), history > 0, ages)
        unit = self.user_tower(torch.cat([self.users(user_idx), pooled], dim=1), features)
        scale = self.log_scale.clamp(max=math.log(100)).exp()  # as CLIP bounds it (Radford et al., 2021, 2.5)
        return torch.cat([unit * scale, torch.ones_like(unit[:, :1])], dim=1)

    def item_vectors(self, item_idx: Tensor, features: Tensor) -> Tensor:
        """(I,), (I, Di) → (I, vector_dim); all but the last number are a unit vector."""
        return torch.cat([self.item_tower(self.items(item_idx), features), self.bias(features)], dim=1)


def _families(families: Families | None, dim: int) -> Families:
    if families is not None:
        return families
    return {"all": range(dim)} if dim else {}
