"""Scores as they would be without what one kind of terms says."""

import numpy as np
import numpy.typing as npt

from llmrec.features.asof.state import UserState
from llmrec.models.attribution import Doubles
from llmrec.models.base import Ints
from llmrec.reasons.contributions import contributions
from llmrec.reasons.reasons import Kind
from llmrec.reasons.statements import kind_of
from llmrec.recommender import Recommender


def silenced(
    recommender: Recommender, user: UserState, rows: Ints, time: int, scores: npt.NDArray[np.floating], kind: Kind
) -> Doubles:
    """(N,) the `scores` (N,) of the candidates `rows` for one user (Q = 1), less what terms of the `kind` add.

    What a retriever's score owes to words stays in it: it is one term.
    """
    found = contributions(recommender, user, rows, time, scores)
    mute = [place for place, term in enumerate(found.terms) if kind_of(term) == kind]
    return np.asarray(scores - found.values[:, mute].sum(axis=1), np.float64)
