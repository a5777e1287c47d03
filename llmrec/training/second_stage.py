"""Fitting blender and calibrator, choosing the fallback: on validation clicks, by models fitted before them."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from llmrec.config import TrainingConfig
from llmrec.config.outcomes import CLICK
from llmrec.features.dataset.rows import read_examples
from llmrec.models.base import Blender, Calibrator, ModelContext, Ranker
from llmrec.models.blenders.prior_correction import popularity
from llmrec.models.retrieval import candidates
from llmrec.models.store import make_model
from llmrec.models.topk import top_k
from llmrec.models.validation import WHOLE, ValidationQueries, ranking_metrics, whole_metrics
from llmrec.recommender import FittedModels, Recommender
from llmrec.storage import Artifact
from llmrec.training.calibrate import calibrate, uncertain
from llmrec.variants import VALIDATED


@dataclass(frozen=True)
class SecondStage:
    """What validation clicks say of models that were fitted before them.

    `metrics`: of each popularity column, of the calibrators, and of the WHOLE. `calibrators`: of what may happen or not
    beside the click, by outcome.
    """

    blender: Blender
    calibrator: Calibrator
    fallback: str
    metrics: dict[str, dict[str, float]]
    calibrators: Mapping[str, Calibrator]


def fit_second_stage(
    config: TrainingConfig, examples: Artifact, context: ModelContext, fitted: Mapping[str, object], n_retrieve: int
) -> SecondStage:
    """`fitted`: the models of fold `validation` by key. The few weights of the blender have seen the queries that the
    whole is measured on."""
    clicks = read_examples(
        examples, "validation", context.selection, context.history_length, clicks_only=True, with_pairs=False
    )
    queries = ValidationQueries.of(context.history, clicks)
    blender: Blender = make_model("blender", config.blender, context)
    calibrator: Calibrator = make_model("calibrator", config.calibrator, context)
    ranker: Ranker = fitted["ranker"]  # type: ignore[assignment]
    by_outcome = {name: make_model("calibrator", config.calibrator, context) for name in uncertain(ranker)}
    learns = config.calibrator.name != "none"
    calibrated = calibrate({CLICK: calibrator, **by_outcome}, ranker, examples) if learns else {}
    models = as_models(fitted, blender, calibrator, "", by_outcome)
    recommender = Recommender(models, context, retrieve=n_retrieve)
    fallback, validated = _fallback(recommender, queries)
    found = recommender.unite(queries.requests(context), n_retrieve)
    values, targets = [], []
    for q in np.flatnonzero((found.rows == queries.targets[:, None]).any(axis=1)):
        some, user = found.rows[q] >= 0, queries.users.take(np.array([q]))
        values.append(recommender.values(user, found.rows[q, some], found.columns[q, some], int(queries.times[q])))
        targets.append(int(np.flatnonzero(found.rows[q] == queries.targets[q])[0]))
    blender.fit(recommender.blended, [v[:, : len(recommender.blended)] for v in values], targets)
    scored = [(recommender.score(v), target) for v, target in zip(values, targets, strict=True)]
    ranks = np.array([1 + int((scores > scores[target]).sum()) for scores, target in scored], np.int64)
    metrics = validated | calibrated | {WHOLE: whole_metrics(ranks, len(queries))}
    return SecondStage(blender, calibrator, fallback, metrics, by_outcome)


def as_models(
    fitted: Mapping[str, object], blender: Blender, calibrator: Calibrator, fallback: str,
    calibrators: Mapping[str, Calibrator],
) -> FittedModels:  # fmt: skip
    """Models by the keys of `TrainingConfig.models` as what serves together."""

    def of(role: str) -> dict[str, object]:
        return {key.partition(".")[2]: model for key, model in fitted.items() if key.startswith(f"{role}.")}

    ranker, raters = fitted["ranker"], of("rater")
    return FittedModels(of("retriever"), ranker, blender, fallback, calibrator, raters, calibrators)  # type: ignore[arg-type]


def _fallback(recommender: Recommender, queries: ValidationQueries) -> tuple[str, dict[str, dict[str, float]]]:
    """The popularity column that ranks the validation clicks best, and what each reaches."""
    history, data, columns = recommender.history, recommender.context.interactions, recommender.popularity
    lists = np.full((len(columns), len(queries), 50), -1, np.int64)
    everything, requests = np.arange(data.n_items), queries.requests(recommender.context)
    for time in np.unique(queries.times):
        part = np.flatnonzero(queries.times == time)
        asked = requests.take(part)
        counts = history.item_counts(everything, np.full(len(everything), time))
        popular = popularity(counts, history.settings.popularity_days)
        allowed = candidates(asked)
        for c in range(len(columns)):
            scores = np.where(allowed, popular[:, c].astype(np.float32), np.float32(-np.inf))
            lists[c, part] = top_k(scores, 50, data.user_hash[asked.users], data.item_hash)[0]
    metrics = {name: ranking_metrics(lists[c], queries.targets) for c, name in enumerate(columns)}
    return max(columns, key=lambda name: metrics[name][VALIDATED]), metrics
