"""The `like` label: an observed review with 4 stars or more, told from those with fewer.

Rates and text profiles are state, read as of each row's time; regression weights are parameters, fitted before T2.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from llmrec.config import EvaluationConfig
from llmrec.evaluation.data.interactions import Floats, Interactions, Ints
from llmrec.evaluation.data.profiles import Vectors
from llmrec.evaluation.labels.clicks import ClickRows, Predicted, probability_table
from llmrec.evaluation.labels.stars import StarModel, StarRows, TextStars, tuned
from llmrec.evaluation.records.tables import LabelTable
from llmrec.features.asof.entity_log import LIKED_STARS

_DAMPING = (1.0, 3.0, 10.0, 30.0)
_RIDGE = (10.0, 100.0, 1_000.0, 10_000.0)
#: Sums of biases leave [0, 1]: a rate closer to its ends than this is not believed.
_END = 0.01


class Rates(StarModel):
    """Smoothed rates: everybody's, what the item's differs by, and what the user's differs by, each damped."""

    def floor(self, rows: Ints) -> Floats:
        return np.clip(super().floor(rows), _END, 1 - _END)


@dataclass
class TextLikes(TextStars):
    """Logistic regression on the user's and the item's frozen text profile as of t; with `rates`, on their logit too.

    `ridge` is the weight of the L2 penalty, 1 / C.
    """

    rates: bool = False

    def fit(self, train: Ints) -> None:
        self._read(train)
        self._model = make_pipeline(StandardScaler(), LogisticRegression(C=1 / self.ridge, max_iter=1_000))
        self._model.fit(self._inputs(train), self.data.stars[train] > 0)

    def predict(self, rows: Ints) -> Floats:
        return np.asarray(self._model.predict_proba(self._inputs(rows))[:, 1], np.float64)

    def _inputs(self, rows: Ints) -> Floats:
        if not self.rates:
            return self._features(rows)
        rate = np.clip(self.floor(rows), _END, 1 - _END)
        return np.concatenate([self._features(rows), np.log(rate / (1 - rate))[:, None]], axis=1)


def liked(data: Interactions) -> Interactions:
    """The same events with 1 in place of LIKED_STARS and more, 0 of fewer; NaN stays."""
    return replace(data, stars=np.where(np.isfinite(data.stars), data.stars >= LIKED_STARS, np.nan).astype(np.float32))


def like_models(data: Interactions, rows: StarRows, vectors: Vectors | None, seed: int) -> list[Predicted]:
    """Rates, text, and both; each chosen by its mean squared error on validation, fitted on `rows.train`.

    `data` as `liked` makes it.
    """
    rates, best = tuned(partial(Rates, data), rows, [{"damping": d} for d in _DAMPING])
    found = [Predicted("rates", "baseline", "User + item like rates", "damped shares of liked reviews as of each row's "
                       "time", [rates.predict(rows.test)], best, len(_DAMPING))]  # fmt: skip
    if vectors is None:
        return found
    grid = [best | {"ridge": r} for r in _RIDGE]
    for name, label, with_rates in (
        ("text_logistic", "Logistic regression on text", False),
        ("rates_text", "Rates + text", True),
    ):
        make = partial(TextLikes, data, vectors=vectors, seed=seed, rates=with_rates)
        model, chosen = tuned(make, rows, grid)
        words = "logistic regression on the frozen text profiles as of t" + ", and on the rates" * with_rates
        found.append(Predicted(name, "baseline", label, words, [model.predict(rows.test)], chosen, len(grid)))
    return found


def like_rows(data: Interactions, rows: StarRows) -> ClickRows:
    """The test rows with their labels; `data` as `liked` makes it."""
    test = rows.test
    return ClickRows(data.user[test], data.item[test], data.time[test], data.stars[test] > 0)


def measurable(data: Interactions, rows: StarRows) -> bool:
    """Whether reviews of both kinds are there to learn from and to be measured on; `data` as `liked` makes it."""
    return all(len(np.unique(data.stars[part])) == 2 for part in (rows.fit, rows.train, rows.test))


def like_table(
    rows: ClickRows, predicted: Sequence[Predicted], config: EvaluationConfig, seed: int
) -> LabelTable:  # fmt: skip
    """The table `like`: our first model against each other one; where there is none of ours, each against the rates."""
    first, others = predicted[0].name, [p.name for p in predicted[1:]]
    return probability_table(
        "like", rows, predicted, [(first, n) if predicted[0].kind == "ours" else (n, first) for n in others],
        f"Each review with stars at t ≥ T2: liked if it has {LIKED_STARS} stars or more. Only what was reviewed is "
        "asked about, so this is not what people would like to see. Rates, features and text profiles as of t, without "
        "the row's own review; settings chosen on [T1, T2), parameters fitted before T2.", config, seed,
    )  # fmt: skip
