"""Section `training`: the two-tower model, the CTR ranker, and how Ray Train runs them."""

from typing import Literal

from pydantic import Field

from llmrec.config.base import Section


class TwoTowerConfig(Section):
    """Retrieval model."""

    dim: int = Field(64, ge=2)
    hidden: tuple[int, ...] = (128,)
    epochs: int = Field(15, ge=1)
    batch_size: int = Field(512, ge=2)
    learning_rate: float = Field(2e-3, gt=0)
    weight_decay: float = Field(1e-4, ge=0)
    temperature: float = Field(0.1, gt=0)
    id_dropout: float = Field(0.3, ge=0, lt=1, description="share of ids replaced by `unknown`, so that new ones work")


class RankerConfig(Section):
    """CTR model on the `click` label."""

    kind: Literal["dcnv2", "deepfm"] = "dcnv2"
    embedding_dim: int = Field(16, ge=1)
    hidden: tuple[int, ...] = (128, 64)
    cross_layers: int = Field(2, ge=1)
    dropout: float = Field(0.2, ge=0, lt=1)
    epochs: int = Field(6, ge=1)
    batch_size: int = Field(1024, ge=2)
    learning_rate: float = Field(1e-3, gt=0)
    weight_decay: float = Field(1e-4, ge=0)
    id_dropout: float = Field(0.3, ge=0, lt=1)


class TrainingConfig(Section):
    """Both models and the workers that fit them."""

    two_tower: TwoTowerConfig = TwoTowerConfig()
    ranker: RankerConfig = RankerConfig()
    workers: int = Field(1, ge=0, description="data-parallel Ray Train workers; 0 runs in this process")
    gpu: bool = False
    max_failures: int = Field(3, ge=0, description="worker deaths that one fit survives")
