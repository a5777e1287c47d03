"""Section `training`: the two-tower model, the CTR ranker, and how Ray Train runs them."""

from typing import Literal

from pydantic import Field

from llmrec.config.base import Section

Fusion = Literal["concat", "mean", "weighted_sum", "gated", "attention"]


class TwoTowerConfig(Section):
    """Retrieval model."""

    dim: int = Field(32, ge=2, description="length of the unit vectors; an item's bias is one dimension more")
    hidden: tuple[int, ...] = Field((64,), description="widths of each tower's hidden layers; empty: linear towers")
    history: Literal["mean", "attention"] = Field("mean", description="how the embeddings of past items are pooled")
    fusion: Fusion = Field("concat", description="how the feature families of a tower are joined")
    epochs: int = Field(15, ge=1, description="at most; validation chooses how many")
    patience: int = Field(3, ge=1, description="epochs without a better validation metric before the search ends")
    batch_size: int = Field(256, ge=2, description="positives a worker and step; they are neighbours in time")
    sampled_negatives: int = Field(
        512,
        ge=0,
        description="uniformly drawn items a batch beside the in-batch ones, at most as many as there are items",
    )
    learning_rate: float = Field(1e-3, gt=0)
    weight_decay: float = Field(1e-4, ge=0)
    temperature: float = Field(1.0, gt=0, description="divides the cosine; the start value where it is learned")
    learn_temperature: bool = True
    dropout: float = Field(0.2, ge=0, lt=1)
    id_dropout: float = Field(0.5, ge=0, lt=1, description="share of ids replaced by `unknown`, so that new ones work")


class RankerConfig(Section):
    """CTR model on the `click` label."""

    kind: Literal["dcnv2", "deepfm"] = "dcnv2"
    structure: Literal["parallel", "stacked"] = Field("parallel", description="dcnv2: cross and deep side by side")
    embedding_dim: int = Field(16, ge=1)
    hidden: tuple[int, ...] = (64, 32)
    cross_layers: int = Field(2, ge=1)
    cross_rank: int | None = Field(32, ge=1, description="dcnv2: rank of each layer's matrix; null: full")
    history: Literal["mean", "din"] = Field("mean", description="din: attention of the candidate over past items")
    dropout: float = Field(0.2, ge=0, lt=1)
    epochs: int = Field(8, ge=1, description="at most; validation chooses how many")
    patience: int = Field(2, ge=1, description="epochs without a better validation metric before the search ends")
    batch_size: int = Field(512, ge=2, description="examples a worker and step")
    learning_rate: float = Field(1e-3, gt=0)
    weight_decay: float = Field(1e-4, ge=0)
    id_dropout: float = Field(0.5, ge=0, lt=1)


class TrainingConfig(Section):
    """Both models and the workers that fit them."""

    two_tower: TwoTowerConfig = TwoTowerConfig()
    ranker: RankerConfig = RankerConfig()
    workers: int = Field(1, ge=0, description="data-parallel Ray Train workers; 0 runs in this process")
    gpu: bool = Field(False, description="one GPU a worker")
    max_failures: int = Field(3, ge=0, description="worker deaths that one fit survives")
