"""Item-kNN: items that the same users had."""

from typing import Literal

import scipy.sparse as sp
from implicit.nearest_neighbours import all_pairs_knn, normalize
from pydantic import Field

from llmrec.config.models import ModelConfig
from llmrec.models.base import FitData, ModelInfo
from llmrec.models.retrievers.item_weights import ItemWeights


class ItemKNNConfig(ModelConfig):
    name: Literal["item_knn"] = "item_knn"
    neighbours: int = Field(0, ge=0, description="nearest of each item; 0: all")


class ItemKNN(ItemWeights):
    """Cosine between items' users, the `neighbours` nearest of each item; through `implicit`."""

    Config = ItemKNNConfig
    INFO = ModelInfo(
        "item-kNN", "cosine over co-occurring users (implicit), summed over the user's history", "events",
        "Sarwar et al., WWW 2001",
    )  # fmt: skip

    def weights(self, data: FitData) -> sp.csr_matrix:
        X = data.matrix
        unit = sp.csr_matrix(normalize(X.T).T)
        return sp.csr_matrix(all_pairs_knn(unit, self.config.neighbours or X.shape[1], show_progress=False))
