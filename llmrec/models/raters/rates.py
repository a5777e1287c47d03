"""User + item like rates: damped shares of liked reviews as of each row's time."""

from typing import Literal

import numpy as np

from llmrec.features.asof.interactions import Floats, Ints
from llmrec.models.base import ModelInfo
from llmrec.models.raters.bias import Bias, BiasConfig

#: Sums of biases leave [0, 1]: a rate closer to its ends than this is not believed.
END = 0.01


class RatesConfig(BiasConfig):
    name: Literal["rates"] = "rates"  # type: ignore[assignment]


class Rates(Bias):
    """Everybody's rate, what the item's differs by, and what the user's differs by, each damped."""

    Config = RatesConfig
    INFO = ModelInfo("User + item like rates", "damped shares of liked reviews as of each row's time", "events",
                     needs_clock=True, output="probability")  # fmt: skip
    label = "like"

    def floor(self, users: Ints, items: Ints, times: Ints) -> Floats:
        return np.clip(super().floor(users, items, times), END, 1 - END)
