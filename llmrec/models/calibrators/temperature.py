"""Platt scaling: the logit divided by a temperature, and shifted."""

from typing import Literal

import numpy as np

from llmrec.models.base import Floats, ModelInfo
from llmrec.models.calibrators.knots import Doubles, Knots, KnotsConfig
from llmrec.models.linear import platt


class TemperatureConfig(KnotsConfig):
    name: Literal["temperature"] = "temperature"


class Temperature(Knots):
    """logit · slope + shift, of least log loss."""

    Config = TemperatureConfig
    INFO = ModelInfo("Temperature", "the logit over a temperature, shifted, on validation clicks", "features",
                     "Platt 1999; Guo et al., ICML 2017", output="probability")  # fmt: skip

    def knots(self, logits: Doubles, clicks: Floats) -> tuple[Doubles, Doubles]:
        slope, shift = platt(logits, clicks)
        x = np.array([-50.0, 50.0])
        return x, slope * x + shift
