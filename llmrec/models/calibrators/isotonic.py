"""Centred isotonic regression: any increasing curve, without steps."""

from typing import Literal

import numpy as np
from sklearn.isotonic import IsotonicRegression

from llmrec.models.base import Floats, ModelInfo
from llmrec.models.calibrators.knots import Doubles, Knots, KnotsConfig


class IsotonicConfig(KnotsConfig):
    name: Literal["isotonic"] = "isotonic"


class Isotonic(Knots):
    """The centres of the blocks that isotonic regression pools, joined: equal scores only where logits are equal.

    A block of n rows is smoothed by one row half a click (Krichevsky & Trofimov, 1981), so that none is sure.
    """

    Config = IsotonicConfig
    INFO = ModelInfo("Isotonic", "an increasing curve of the logit, on validation clicks", "features",
                     "Zadrozny & Elkan, KDD 2002; Oron & Flournoy 2017", output="probability")  # fmt: skip

    def knots(self, logits: Doubles, clicks: Floats) -> tuple[Doubles, Doubles]:
        pooled = IsotonicRegression().fit_transform(logits, clicks)
        _, block, n = np.unique(pooled, return_inverse=True, return_counts=True)
        x = np.bincount(block, logits) / n
        p = (np.bincount(block, clicks) + 0.5) / (n + 1)
        y = np.log(p / (1 - p))
        # a small block is smoothed more, and may sink below the one before
        higher = np.append(True, y[1:] > np.maximum.accumulate(y)[:-1])
        x, y = x[higher], y[higher]
        return (x, y) if len(x) > 1 else (np.array([x[0], x[0] + 1]), np.array([y[0], y[0] + 1]))
