"""What adds up to a score: terms of the blend, the ranker's logit split into feature families."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from llmrec.features.asof.state import UserState
from llmrec.features.families.behaviour import RATE
from llmrec.models.attribution import Doubles, add
from llmrec.models.base import Ints
from llmrec.models.blenders.prior_correction import LOGIT, POPULARITY
from llmrec.recommender import Recommender

#: What no term says: zero where the blend is linear and the ranker's parts are exact.
OTHER = "other"
RETRIEVER = "retriever."
_ROUNDING = 1e-4  # scores are float32


@dataclass(frozen=True)
class Contributions:
    """Of N candidates: `terms` (T), `values` (N, T), whose rows add up to the scores (N,) − `baseline`, their mean."""

    terms: tuple[str, ...]
    values: Doubles
    baseline: float


def contributions(
    recommender: Recommender, user: UserState, rows: Ints, time: int, scores: npt.NDArray[np.floating]
) -> Contributions:
    """Of the items `rows` (N,), scored `scores` (N,) for one user (Q = 1).

    A term is `retriever.NAME`, `log_popularity` or `log_rate` of the blend, a feature family of the ranker, or
    `outcomes`, what these are worth. Each is
    its value less its mean over the candidates: the mean candidate is what they are measured from.
    """
    if recommender.by_popularity(user)[0]:
        return _centred({_term(recommender.models.fallback, recommender): np.asarray(scores, np.float64)}, scores)
    values, weights = recommender.blend_columns(user, rows, time), recommender.weights
    parts: dict[str, Doubles] = {}
    for place, name in enumerate(recommender.columns):
        weight = weights.get(name, 0.0)
        if name != LOGIT:
            parts = add(parts, {_term(name, recommender): weight * values[:, place]})
        elif weight:
            examples, _ = recommender.click_rows(user, rows, time)
            found = recommender.models.ranker.attributions(examples)
            parts = add(parts, {family: weight * part for family, part in found.items()})
    return _centred(parts, scores)


def _term(column: str, recommender: Recommender) -> str:
    if column in recommender.models.retrievers:
        return RETRIEVER + column
    return next((start for start in (POPULARITY, RATE) if column.startswith(start)), column)


def _centred(parts: dict[str, Doubles], scores: npt.NDArray[np.floating]) -> Contributions:
    table = np.column_stack(list(parts.values()))
    table = table - table.mean(axis=0)
    baseline = float(np.mean(scores, dtype=np.float64))
    rest = scores - baseline - table.sum(axis=1)
    terms = tuple(parts)
    if np.abs(rest).max(initial=0) > _ROUNDING * max(1.0, float(np.abs(scores).max(initial=0))):
        return Contributions((*terms, OTHER), np.column_stack([table, rest]), baseline)
    return Contributions(terms, table, baseline)
