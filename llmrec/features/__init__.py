"""Point-in-time features from behaviour and text. See `docs/architecture.md`."""

from llmrec.features.asof.history import History
from llmrec.features.asof.state import ItemState, UserState
from llmrec.features.build.stage import check_origins, featurize
from llmrec.features.dataset.pairs import Pairs
from llmrec.features.dataset.spec import FeatureSpec
from llmrec.features.families.columns import FeatureColumn, FeatureSelection
from llmrec.features.transforms.projection import Projection

__all__ = [
    "FeatureColumn", "FeatureSelection", "FeatureSpec", "History", "ItemState", "Pairs", "Projection", "UserState",
    "check_origins", "featurize",
]  # fmt: skip
