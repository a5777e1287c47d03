"""Likes from the user's and the item's text profiles as of t; with the rates, or without."""

from typing import Any, ClassVar, Literal

import numpy as np
from scipy.special import logit

from llmrec.features.asof.interactions import Floats, Ints
from llmrec.models.base import ModelInfo
from llmrec.models.linear import LinearModel
from llmrec.models.raters.bias_text import BiasText, BiasTextConfig
from llmrec.models.raters.rates import END


class TextLikesConfig(BiasTextConfig):
    name: Literal["text_logistic"] = "text_logistic"  # type: ignore[assignment]


class RatesTextConfig(BiasTextConfig):
    name: Literal["rates_text"] = "rates_text"  # type: ignore[assignment]


class TextLikes(BiasText):
    """Logistic regression; `ridge` is the weight of the L2 penalty, 1 / C."""

    Config: ClassVar[Any] = TextLikesConfig
    INFO = ModelInfo("Logistic regression on text", "logistic regression on the frozen text profiles as of t", "text",
                     needs_clock=True, output="probability")  # fmt: skip
    label = "like"
    with_rates: ClassVar[bool] = False

    def regress(self, inputs: Floats, stars: Floats, floor: Floats) -> LinearModel:
        return LinearModel.logistic(inputs, stars > 0, 1 / self.config.ridge)

    def inputs(self, users: Ints, items: Ints, times: Ints, reviews: Ints | None) -> Floats:
        profiles = super().inputs(users, items, times, reviews)
        if not self.with_rates:
            return profiles
        rate = np.clip(self.floor(users, items, times), END, 1 - END)
        return np.concatenate([profiles, logit(rate)[:, None]], axis=1)

    def predict(self, users: Ints, items: Ints, times: Ints, reviews: Ints | None = None) -> Floats:
        return self._model.probability(self.inputs(users, items, times, reviews))


class RatesText(TextLikes):
    """And on the logit of the rates."""

    Config = RatesTextConfig
    INFO = ModelInfo(
        "Rates + text", "logistic regression on the frozen text profiles as of t, and on the rates", "text",
        needs_clock=True, output="probability",
    )  # fmt: skip
    with_rates = True
