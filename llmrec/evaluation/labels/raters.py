"""Registered raters in the tables of stars and likes: tuned on [T1, T2), fitted before T2, asked about the test."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np

from llmrec.catalogue import model_class
from llmrec.config import EvaluationConfig
from llmrec.config.models import model_config
from llmrec.evaluation.data.folds import Split
from llmrec.evaluation.labels.tables import Predicted, TestRows, number_table, probability_table
from llmrec.evaluation.ranking.our_models import Variant
from llmrec.evaluation.records.tables import LabelTable
from llmrec.features.asof.interactions import AsOf, Floats, Interactions, Ints
from llmrec.features.asof.text_profiles import Vectors
from llmrec.models.base import FitData, ModelInfo, Rater
from llmrec.models.raters.bias import liked
from llmrec.variants import VARIANT_LABELS

_DAMPING = [{"damping": d} for d in (1.0, 3.0, 10.0, 30.0)]
_RIDGE = (10.0, 100.0, 1_000.0, 10_000.0)
STARS, LIKES = ("bias", "matrix_factorization", "bias_text"), ("rates", "text_logistic", "rates_text")


@dataclass(frozen=True)
class RatedRows:
    """Event rows with stars: `fit` to choose on `validation`, `train` to fit anew, `test`."""

    data: Interactions
    as_of: AsOf
    vectors: Vectors | None
    seed: int
    fit: Ints
    validation: Ints
    train: Ints
    test: Ints

    @classmethod
    def of(cls, split: Split, vectors: Vectors | None, seed: int) -> "RatedRows":
        data = split.test.data
        rated = np.isfinite(data.stars)
        parts = (split.validation.train, split.validation.queries.event, split.test.train, split.test.queries.event)
        return cls(data, split.test.as_of, vectors, seed, *(rows[rated[rows]] for rows in parts))

    def fitted(self, name: str, settings: dict[str, Any], train: Ints, **attributes: Any) -> Rater:
        """The rater, fitted on event rows; `attributes` are set before (`put_back`)."""
        model: Rater = model_class("rater", name)(model_config("rater", {"name": name, **settings}))
        for attribute, value in attributes.items():
            setattr(model, attribute, value)
        model.fit(FitData(self.data, train, self.as_of, self.vectors, self.seed))
        return model

    def asked(self, model: Rater, rows: Ints) -> Floats:
        """(n,) predictions of event rows, each as of its own time."""
        return model.predict(self.data.user[rows], self.data.item[rows], self.data.time[rows], rows)

    @property
    def likes(self) -> TestRows:
        """The test rows with the label `like`."""
        test, label = self.test, liked(self.data).stars
        return TestRows(self.data.user[test], self.data.item[test], self.data.time[test], label[test] > 0)

    @property
    def has_both_likes(self) -> bool:
        """Whether reviews of both kinds are there to learn from and to be measured on."""
        label = liked(self.data).stars
        return all(len(np.unique(label[part])) == 2 for part in (self.fit, self.train, self.test))


@dataclass(frozen=True)
class RatedModel:
    """A fitted rater's predictions of the test rows."""

    name: str
    info: ModelInfo
    predicted: Floats
    settings: dict[str, float]
    trials: int


def rate(rows: RatedRows, names: Sequence[str]) -> list[RatedModel]:
    """Each rater, tuned; those behind the first stand on its tuned bias. Without vectors there are none on text."""
    found: list[RatedModel] = []
    for name in names:
        info = model_class("rater", name).INFO
        if info.reads == "text" and rows.vectors is None:
            continue
        settings = [found[0].settings | {"ridge": r} for r in _RIDGE] if found else _DAMPING
        if name == "matrix_factorization":
            settings = [s | {"ridge": s["ridge"] / 10} for s in settings]
        best = _tuned(rows, name, settings)
        predicted = rows.asked(rows.fitted(name, best, rows.train), rows.test)
        found.append(RatedModel(name, info, predicted, best, len(settings)))
    return found


def _tuned(rows: RatedRows, name: str, settings: Sequence[dict[str, float]]) -> dict[str, float]:
    """The settings of least mean squared error on the validation rows."""
    label = (liked(rows.data) if name in LIKES else rows.data).stars[rows.validation]

    def loss(some: dict[str, float]) -> float:
        return float(np.mean((rows.asked(rows.fitted(name, some, rows.fit), rows.validation) - label) ** 2))

    return min(settings, key=loss) if len(rows.validation) else settings[0]


def as_predicted(models: Sequence[RatedModel]) -> list[Predicted]:
    """Raters of likes as models of a table of probabilities."""
    return [
        Predicted(m.name, "baseline", m.info.title, m.info.description, [m.predicted], m.settings, m.trials)
        for m in models
    ]


def our_stars(variants: Iterable[Variant], rows: RatedRows) -> list[Predicted]:
    """The bundles' own raters of stars, those that read features, as they serve; `variants`: seeds of one together."""
    found, test = list[Predicted](), rows.test
    asked = rows.data.user[test], rows.data.item[test], rows.data.time[test]
    for variant, seeds in groupby(variants, lambda v: v.name):
        fitted = [v.bundle.models.raters for v in seeds]
        ours = {name: r for name, r in fitted[0].items() if (r.INFO.reads, r.INFO.output) == ("features", "stars")}
        for name, first in ours.items():
            title = f"{first.INFO.title}, {VARIANT_LABELS.get(variant, variant)}"
            by_seed = [raters[name].predict(*asked) for raters in fitted]
            found.append(Predicted(f"{name}_{variant}", "ours", title, first.INFO.description, by_seed))
    return found


def star_table(
    rows: RatedRows, models: Sequence[RatedModel], config: EvaluationConfig, seed: int, ours: Sequence[Predicted] = ()
) -> LabelTable:
    """RMSE and MAE with intervals; every model against the bias."""
    stars = rows.data.stars[rows.test].astype(np.float64)
    compared = [(p.name, "bias") for p in (*ours, *as_predicted(models[1:]))]
    words = (
        "Each rated event at t ≥ T2; biases and text profiles as of t, without the row's own review; settings chosen "
        "on [T1, T2), parameters fitted before T2."
    )
    return number_table("stars", rows.likes, stars, [*ours, *as_predicted(models)], compared, words, config, seed)


def like_table(
    rows: TestRows, predicted: Sequence[Predicted], config: EvaluationConfig, seed: int, liked_from: float
) -> LabelTable:
    """The table `like`: our first model against each other one; where there is none of ours, each against the rates."""
    first, others = predicted[0].name, [p.name for p in predicted[1:]]
    return probability_table(
        "like", rows, predicted, [(first, n) if predicted[0].kind == "ours" else (n, first) for n in others],
        f"Each review with stars at t ≥ T2: liked if it has {liked_from:g} stars or more. Only what was reviewed is "
        "asked about, so this is not what people would like to see. Rates, features and text profiles as of t, without "
        "the row's own review; settings chosen on [T1, T2), parameters fitted before T2.", config, seed,
    )  # fmt: skip
