"""Fitting blender and calibrator, choosing the fallback: on validation clicks, by models fitted before them."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from llmrec.config import TrainingConfig
from llmrec.config.data.outcomes import CLICK
from llmrec.features.dataset.rows import read_examples
from llmrec.models.base import Blender, Calibrator, Ints, ModelContext, Ranker
from llmrec.models.blenders.prior_correction import popularity
from llmrec.models.files.models_file import Guarded
from llmrec.models.files.store import make_model
from llmrec.models.retrieval import candidates
from llmrec.models.topk import top_k
from llmrec.models.validation import WHOLE, ValidationQueries, ranking_metrics, whole_metrics
from llmrec.recommender import FittedModels, Recommender
from llmrec.storage import Artifact
from llmrec.training.calibrate import calibrate, uncertain
from llmrec.training.guard import JudgedLists, gain, gains, guard
from llmrec.variants import VALIDATED


@dataclass(frozen=True)
class SecondStage:
    """What validation clicks say of models that were fitted before them.

    `metrics`: of each popularity column, of the calibrators, and of the WHOLE. `calibrators`: of what may happen or not
    beside the click, by outcome. `guarded`: what the guard made of the blend; None where it is off or has too few
    clicks to judge by.
    """

    blender: Blender
    calibrator: Calibrator
    fallback: str
    metrics: dict[str, dict[str, float]]
    calibrators: Mapping[str, Calibrator]
    guarded: Guarded | None


def fit_second_stage(
    config: TrainingConfig, examples: Artifact, context: ModelContext, fitted: Mapping[str, object], n_retrieve: int
) -> SecondStage:
    """`fitted`: the models of fold `validation` by key. The few weights of the blender have seen the queries that the
    whole is measured on; the guard judges it by others."""
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
    models = FittedModels.of_keys(fitted, blender, calibrator, "", by_outcome)
    recommender = Recommender(models, context, retrieve=n_retrieve)
    popular = _popular_lists(recommender, queries)
    metrics = {name: ranking_metrics(rows, queries.targets) for name, rows in popular.items()}
    fallback = max(popular, key=lambda name: metrics[name][VALIDATED])
    lists = _judged_lists(recommender, queries, popular)
    blended = replace(lists, values=[v[:, : len(recommender.blended)] for v in lists.values])
    blender.fit(recommender.blended, blended.values, blended.targets)
    make = partial(make_model, "blender", config.blender, context)
    guarded = guard(blender, make, recommender.blended, blended) if blender.config.guard else None
    metrics |= calibrated | {WHOLE: _whole(recommender, lists, guarded)}
    return SecondStage(blender, calibrator, fallback, metrics, by_outcome, guarded)


def _judged_lists(recommender: Recommender, queries: ValidationQueries, popular: Mapping[str, Ints]) -> JudgedLists:
    """The candidates of each query whose target is among them, and what single terms reach: popularity among all items,
    `popular` (Q, k), retrievers among the candidates."""
    found = recommender.unite(queries.requests(recommender.context), recommender.n_retrieve)
    held = np.flatnonzero((found.rows == queries.targets[:, None]).any(axis=1))
    values, targets = [], []
    for q in held:
        some, user = found.rows[q] >= 0, queries.users.take(np.array([q]))
        values.append(recommender.values(user, found.rows[q, some], found.columns[q, some], int(queries.times[q])))
        targets.append(int(np.flatnonzero(found.rows[q, some] == queries.targets[q])[0]))
    alone = {name: gains(rows, queries.targets) for name, rows in popular.items()}
    for place, name in enumerate(recommender.models.retrievers):
        alone[name] = np.zeros(len(queries))
        alone[name][held] = [gain(v[:, place], target) for v, target in zip(values, targets, strict=True)]
    return JudgedLists(queries.users.rows, queries.targets, alone, values, targets, held)


def _whole(recommender: Recommender, lists: JudgedLists, guarded: Guarded | None) -> dict[str, float]:
    """VALIDATED of what orders: the blend, or the one term that is left of it."""
    if guarded is not None and not guarded.share and not recommender.models.ranker.worth:
        return {VALIDATED: float(lists.alone[guarded.term].mean())}
    scored = [(recommender.score(v), target) for v, target in zip(lists.values, lists.targets, strict=True)]
    ranks = np.array([1 + int((scores > scores[target]).sum()) for scores, target in scored], np.int64)
    return whole_metrics(ranks, len(lists.users))


def _popular_lists(recommender: Recommender, queries: ValidationQueries) -> dict[str, Ints]:
    """The 50 most popular items (Q, 50) that a query may get, by each popularity column."""
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
    return dict(zip(columns, lists, strict=True))
