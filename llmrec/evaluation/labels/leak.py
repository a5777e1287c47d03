"""The leak gap: how much better the same model looks once the target's own review is put back.

Same seed, same settings; the review enters the user's profile, the item's, or both, in training and in test rows. Much
of the published value of review text is this mistake (Catherine & Cohen, "TransNets", RecSys 2017, section 4).
"""

from typing import get_args

import numpy as np

from llmrec.config import EvaluationConfig
from llmrec.evaluation.data.folds import Fold
from llmrec.evaluation.labels.metrics import star_metrics
from llmrec.evaluation.labels.raters import RatedRows
from llmrec.evaluation.ranking.baselines import WithFallback, fit_data, make
from llmrec.evaluation.ranking.ranking_model import lists_of
from llmrec.evaluation.records.results import LeakGap
from llmrec.evaluation.statistics.bootstrap import Bootstrap, Resampled, combined
from llmrec.features.asof.interactions import Floats
from llmrec.features.asof.text_profiles import IncludedTargetReview, Vectors
from llmrec.models.metrics import list_metrics, parse

SIDES: tuple[IncludedTargetReview, ...] = get_args(IncludedTargetReview)


def star_gaps(rows: RatedRows, settings: dict[str, float], config: EvaluationConfig, seed: int) -> list[LeakGap]:
    """RMSE of `bias_text` with `settings`, clean and with the review put back."""
    bootstrap = Bootstrap(rows.data.user[rows.test], config.bootstrap, seed, rows.data.item[rows.test])
    stars = rows.data.stars[rows.test].astype(np.float64)

    def rmse(put_back: IncludedTargetReview | None) -> Resampled:
        predicted = rows.asked(rows.fitted("bias_text", settings, rows.train, put_back=put_back), rows.test)
        return bootstrap.statistics(star_metrics(stars, predicted))["rmse"]

    clean = rmse(None)
    return [_gap("stars", "bias_text", "rmse", side, clean, rmse(side), config.confidence) for side in SIDES]


def ranking_gaps(fold: Fold, vectors: Vectors, config: EvaluationConfig, table: str, seed: int) -> list[LeakGap]:
    """The primary metric of the boosted ranker on text, clean and with the review put back.

    Of all candidates only the target has a review to put back: on the item's side that it exists is a leak already.
    """
    bootstrap = Bootstrap(fold.queries.user, config.bootstrap, seed, fold.queries.item[fold.queries.indptr[:-1]])
    k = parse(config.primary_metric)[1]

    def values(put_back: IncludedTargetReview | None) -> Floats:
        model = make("boosted_text", {})
        model.put_back = put_back  # type: ignore[attr-defined]
        model.fit(fit_data(fold, vectors, seed))
        rows, q = lists_of(WithFallback(model), fold, k).item_rows, fold.queries
        return list_metrics(rows, q.indptr, q.item, fold.data.n_items, [k])[config.primary_metric]

    clean, *leaked = bootstrap.means([values(None), *(values(side) for side in SIDES)])
    return [
        _gap(table, "boosted_text", config.primary_metric, side, clean, drawn, config.confidence)
        for side, drawn in zip(SIDES, leaked, strict=True)
    ]


def _gap(
    table: str, model: str, metric: str, side: IncludedTargetReview, clean: Resampled, leaked: Resampled,
    confidence: float,
) -> LeakGap:  # fmt: skip
    gap = combined([leaked, clean], [1, -1])
    return LeakGap(
        table=table, model=model, metric=metric, put_back=side, clean=clean.estimate(confidence),
        leaked=leaked.estimate(confidence), gap=gap.estimate(confidence),
        existence_leak=table != "stars" and side != "user side",
    )  # fmt: skip
