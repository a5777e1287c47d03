"""The leak gap: how much better the same model looks once the target's own review is put back.

Same seed, same settings; the review enters the user's profile, the item's, or both, in training and in test rows. Much
of the published value of review text is this mistake (Catherine & Cohen, "TransNets", RecSys 2017, section 4).
"""

from typing import get_args

import numpy as np

from llmrec.config import EvaluationConfig
from llmrec.evaluation.baselines import recommend
from llmrec.evaluation.baselines.pointwise import Boosted
from llmrec.evaluation.data.folds import Fold
from llmrec.evaluation.data.interactions import Floats, Interactions
from llmrec.evaluation.data.profiles import IncludedTargetReview, Vectors
from llmrec.evaluation.labels.metrics import star_metrics
from llmrec.evaluation.labels.stars import StarRows, TextStars
from llmrec.evaluation.ranking.metrics import list_metrics, parse
from llmrec.evaluation.records.results import LeakGap
from llmrec.evaluation.statistics.bootstrap import Bootstrap, Resampled

SIDES: tuple[IncludedTargetReview, ...] = get_args(IncludedTargetReview)


def star_gaps(
    data: Interactions,
    rows: StarRows,
    vectors: Vectors,
    settings: dict[str, float],
    config: EvaluationConfig,
    seed: int,
) -> list[LeakGap]:
    """RMSE of `bias_text` with `settings`, clean and with the review put back."""
    bootstrap = Bootstrap(data.user[rows.test], config.bootstrap, seed)
    stars = data.stars[rows.test].astype(np.float64)

    def rmse(put_back: IncludedTargetReview | None) -> Resampled:
        model = TextStars(data, **settings, vectors=vectors, put_back=put_back, seed=seed)
        model.fit(rows.train)
        return bootstrap.statistics(star_metrics(stars, model.predict(rows.test)))["rmse"]

    clean = rmse(None)
    return [_gap("stars", "bias_text", "rmse", side, clean, rmse(side), config.confidence) for side in SIDES]


def ranking_gaps(fold: Fold, vectors: Vectors, config: EvaluationConfig, table: str, seed: int) -> list[LeakGap]:
    """The primary metric of the boosted ranker on text, clean and with the review put back.

    Of all candidates only the target has a review to put back: on the item's side that it exists is a leak already.
    """
    bootstrap = Bootstrap(fold.queries.user, config.bootstrap, seed)

    def values(put_back: IncludedTargetReview | None) -> Floats:
        model = Boosted(vectors=vectors, put_back=put_back, seed=seed)
        model.fit(fold)
        top = recommend(model, fold, parse(config.primary_metric)[1], None)
        q = fold.queries
        found = list_metrics(top, q.indptr, q.item, fold.data.n_items, [parse(config.primary_metric)[1]])
        return found[config.primary_metric]

    clean, *leaked = bootstrap.means([values(None), *(values(side) for side in SIDES)])
    return [
        _gap(table, "boosted_text", config.primary_metric, side, clean, drawn, config.confidence)
        for side, drawn in zip(SIDES, leaked, strict=True)
    ]


def _gap(
    table: str, model: str, metric: str, side: IncludedTargetReview, clean: Resampled, leaked: Resampled,
    confidence: float,
) -> LeakGap:  # fmt: skip
    gap = Resampled(leaked.value - clean.value, leaked.draws - clean.draws, clean.n)
    return LeakGap(
        table=table, model=model, metric=metric, put_back=side, clean=clean.estimate(confidence),
        leaked=leaked.estimate(confidence), gap=gap.estimate(confidence),
        existence_leak=table != "stars" and side != "user side",
    )  # fmt: skip
