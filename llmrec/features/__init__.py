"""Point-in-time features from behaviour and text. See `docs/architecture.md`."""

from llmrec.features.columns import FeatureColumn, FeatureSelection
from llmrec.features.history import History
from llmrec.features.projection import Projection
from llmrec.features.spec import FeatureSpec, Pairs
from llmrec.features.stage import featurize
from llmrec.features.state import ItemState, UserState

__all__ = [
    "FeatureColumn", "FeatureSelection", "FeatureSpec", "History", "ItemState", "Pairs", "Projection", "UserState",
    "featurize",
]  # fmt: skip
