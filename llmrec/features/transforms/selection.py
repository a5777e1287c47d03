"""Choosing columns or whole families under a budget, on training rows only.

scikit-learn is imported by the method that needs it: it takes seconds, which every worker process would pay.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from llmrec.config.features import SelectionConfig
from llmrec.features.arrays import Floats, Ints
from llmrec.features.transforms.gates import gates
from llmrec.threads import one_thread

Labels = npt.NDArray[np.int8]


class InFamily(Protocol):
    """A column, as far as selection looks at it."""

    @property
    def family(self) -> str: ...


@dataclass(frozen=True)
class Ranking:
    """What a method said about k columns."""

    scores: Floats  # (k,) mean over the folds, each fold's scores summing to 1; 0 says "no use"
    stability: Floats  # (k,) share of the folds in which the column is within the budget


def rank(values: npt.NDArray[np.floating], labels: Labels, config: SelectionConfig) -> Ranking:
    """Score k columns by `config.method`, apart on `config.folds` successive stretches of the rows.

    Args:
        values: (n, k) features of training rows in order of time.
        labels: (n,) 0 or 1, the `click` of those rows.
    """
    folds = np.array_split(np.arange(len(labels)), config.folds)
    scores = np.stack([_score(values[f], labels[f], config) for f in folds])
    chosen = np.zeros_like(scores)
    for number, fold in enumerate(scores):
        chosen[number, best(fold, config.budget)] = 1
    return Ranking(scores.mean(axis=0), chosen.mean(axis=0))


def best(scores: Floats, budget: int) -> Ints:
    """Ascending places of the `budget` largest positive scores; ties go to the earlier column."""
    order = np.argsort(-scores, kind="stable")[:budget]
    return np.sort(order[scores[order] > 0])


def select(columns: Sequence[InFamily], ranking: Ranking, config: SelectionConfig) -> Ints:
    """Ascending places of the columns kept: the best columns, or the best families as wholes, within the budget.

    A column found in more folds goes first, then the one with the larger score. A family counts by the mean score of
    its columns, so that a wide one is not preferred for its width; families that do not fit any more are passed over.
    """
    merit = ranking.stability * 2 + ranking.scores  # scores are at most 1, steps of stability at least 1 / folds
    merit = np.where(ranking.scores > 0, np.where(ranking.stability > 0, merit, ranking.scores), 0)
    if config.by == "dimension":
        return best(merit, config.budget)
    families = {c.family: [k for k, d in enumerate(columns) if d.family == c.family] for c in columns}
    kept: list[int] = []
    for family in sorted(families, key=lambda name: -float(ranking.scores[families[name]].mean())):
        places = families[family]
        if ranking.scores[places].any() and len(kept) + len(places) <= config.budget:
            kept += places
    return np.array(sorted(kept), np.int64)


def _score(values: npt.NDArray[np.floating], labels: Labels, config: SelectionConfig) -> Floats:
    """(k,) scores of one fold, non-negative, summing to 1 (all zero where nothing is of use)."""
    if len(np.unique(labels)) < 2:
        return np.zeros(values.shape[1])
    varying = np.flatnonzero(values.max(axis=0) > values.min(axis=0))
    scores = np.zeros(values.shape[1])
    if len(varying):
        found = _METHODS[config.method](values[:, varying], labels, config.seed)
        scores[varying] = np.nan_to_num(found, posinf=0).clip(0)
    return scores / (scores.sum() or 1)


def _f_score(values: npt.NDArray[np.floating], labels: Labels, seed: int) -> Any:
    """One-way analysis of variance."""
    from sklearn.feature_selection import f_classif

    return f_classif(values, labels)[0]


def _mutual_information(values: npt.NDArray[np.floating], labels: Labels, seed: int) -> Any:
    """Nearest-neighbour estimate (Ross, PLoS ONE 2014)."""
    from sklearn.feature_selection import mutual_info_classif

    return mutual_info_classif(values, labels, random_state=seed)


def _gradient_boosting(values: npt.NDArray[np.floating], labels: Labels, seed: int) -> Any:
    """Total impurity decrease over the trees (Friedman 2001)."""
    from sklearn.ensemble import GradientBoostingClassifier

    model = GradientBoostingClassifier(
        n_estimators=100, max_depth=3, subsample=0.5, max_features="sqrt", random_state=seed
    )
    return model.fit(values, labels).feature_importances_


def _permutation(values: npt.NDArray[np.floating], labels: Labels, seed: int) -> Any:
    """Loss of AUC on the last third of the rows when a column is shuffled there (Breiman 2001)."""
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.inspection import permutation_importance

    cut = len(labels) * 2 // 3
    with one_thread("openmp"):  # many small predictions: a thread pool under each slows them down
        model = HistGradientBoostingClassifier(random_state=seed, max_iter=60).fit(values[:cut], labels[:cut])
        found = permutation_importance(
            model, values[cut:], labels[cut:], scoring="roc_auc", n_repeats=2, random_state=seed
        )
    return found.importances_mean


_METHODS = {
    "f_score": _f_score,
    "mutual_information": _mutual_information,
    "gradient_boosting": _gradient_boosting,
    "permutation": _permutation,
    "gates": gates,
}
