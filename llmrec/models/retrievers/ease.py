"""EASE: item-item weights in closed form."""

from typing import Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from llmrec.config.models import ModelConfig
from llmrec.features.families.item_item import ease_weights
from llmrec.models.base import FitData, ModelInfo
from llmrec.models.retrievers.item_weights import ItemWeights


class EASEConfig(ModelConfig):
    name: Literal["ease"] = "ease"
    regularization: float = Field(200.0, gt=0)


class EASE(ItemWeights):
    """Dense in the items."""

    Config = EASEConfig
    INFO = ModelInfo("EASE", "closed-form item-item weights with a zero diagonal", "events", "Steck, WWW 2019, eq. 8")

    def weights(self, data: FitData) -> npt.NDArray[np.float32]:
        return ease_weights(data.matrix, self.config.regularization).astype(np.float32)
