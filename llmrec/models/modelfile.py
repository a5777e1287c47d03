"""`models.json`: the settings and sizes that rebuild both models, and what validation chose."""

from pydantic import BaseModel, ConfigDict

from llmrec.config import RankerConfig, TwoTowerConfig
from llmrec.models.blender import ScoreBlender
from llmrec.models.ranker import Ranker
from llmrec.models.two_tower import TwoTower


class ScoreBlenderFile(BaseModel):
    """The second stage's weights by column, in order."""

    model_config = ConfigDict(extra="forbid")
    weights: dict[str, float]
    fallback: str


class ModelFile(BaseModel):
    """Everything but the weights."""

    model_config = ConfigDict(extra="forbid")
    variant: str
    two_tower: TwoTowerConfig
    ranker: RankerConfig
    n_users: int
    n_items: int
    history_length: int
    user_columns: list[str]  # after the variant's selection, in order
    item_columns: list[str]
    pair_columns: list[str]
    user_families: dict[str, list[int]]
    item_families: dict[str, list[int]]
    chosen_epochs: dict[str, int] = {}
    validation: dict[str, dict[str, float]] = {}
    blender: ScoreBlenderFile

    def make_two_tower(self) -> TwoTower:
        """The retrieval model, its weights not filled in."""
        return TwoTower(
            self.two_tower, self.n_users, self.n_items, len(self.user_columns), len(self.item_columns),
            self.history_length, self.user_families, self.item_families,
        )  # fmt: skip

    def make_ranker(self) -> Ranker:
        """The CTR model, its weights not filled in."""
        dense_dim = len(self.user_columns) + len(self.item_columns) + len(self.pair_columns)
        return Ranker(self.ranker, self.n_users, self.n_items, self.history_length, dense_dim)

    def make_blender(self) -> ScoreBlender:
        """The fitted second stage."""
        weights = self.blender.weights
        return ScoreBlender(tuple(weights), tuple(weights.values()), self.blender.fallback)
