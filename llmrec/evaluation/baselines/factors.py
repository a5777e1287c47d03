"""Matrix factorisation of who took what, through `implicit`."""

from copy import deepcopy
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from implicit.cpu.als import AlternatingLeastSquares
from implicit.cpu.bpr import BayesianPersonalizedRanking
from threadpoolctl import threadpool_limits

from llmrec.evaluation.baselines.base import Baseline, Block
from llmrec.evaluation.data.folds import Fold
from llmrec.evaluation.data.interactions import Scores


@dataclass
class IALS(Baseline):
    """Hu, Koren & Volinsky, "Collaborative Filtering for Implicit Feedback Datasets" (ICDM 2008)."""

    factors: int = 64
    regularization: float = 10.0
    alpha: float = 1.0
    iterations: int = 15
    seed: int = 7
    label: ClassVar[str] = "iALS"
    description: ClassVar[str] = (
        "implicit ALS; item factors are frozen, the user's vector is solved from the history as of the query"
    )

    def fit(self, fold: Fold) -> None:
        with threadpool_limits(1, "blas"):  # implicit's own threads and those of BLAS get in each other's way
            self._model = AlternatingLeastSquares(
                factors=self.factors, regularization=self.regularization, alpha=self.alpha,
                iterations=self.iterations, random_state=self.seed, num_threads=1,
            )  # fmt: skip
            self._model.fit(fold.data.matrix(fold.train), show_progress=False)

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Ray's object store gives arrays that nobody may write to; implicit's Cython wants to be able to."""
        self.__dict__ |= deepcopy(state)

    def scores(self, block: Block) -> Scores:
        users = self._model.recalculate_user(np.arange(len(block.users)), block.histories)
        return np.asarray(users @ self._model.item_factors.T, np.float32)


@dataclass
class BPR(Baseline):
    """Rendle et al., "BPR: Bayesian Personalized Ranking from Implicit Feedback" (UAI 2009).

    `implicit` draws the item to lose a comparison from the events, so as often as it is popular, where the paper draws
    all items alike. The scores then are log p(item | user) less log popularity; `prior` times that is given back.
    """

    factors: int = 64
    learning_rate: float = 0.05
    regularization: float = 0.01
    iterations: int = 100
    prior: float = 1.0
    seed: int = 7
    label: ClassVar[str] = "BPR"
    description: ClassVar[str] = "pairwise matrix factorisation; users that training never saw get the fallback"

    def fit(self, fold: Fold) -> None:
        X = fold.data.matrix(fold.train)
        # one thread: the lock-free updates of several give other factors at every run
        self._model = BayesianPersonalizedRanking(
            factors=self.factors, learning_rate=self.learning_rate, regularization=self.regularization,
            iterations=self.iterations, random_state=self.seed, num_threads=1,
        )  # fmt: skip
        self._model.fit(X, show_progress=False)
        self._trained = np.diff(X.indptr) > 0
        self._given_back = self.prior * np.log1p(np.bincount(X.indices, minlength=X.shape[1]))

    def scores(self, block: Block) -> Scores:
        scores = self._model.user_factors[block.users] @ self._model.item_factors.T + self._given_back
        return np.asarray(scores, np.float32)

    def answers(self, block: Block) -> npt.NDArray[np.bool_]:
        return np.asarray(self._trained[block.users])


def grid(**values: tuple[Any, ...]) -> list[dict[str, Any]]:
    """All combinations of the values, as settings."""
    settings: list[dict[str, Any]] = [{}]
    for name, options in values.items():
        settings = [{**s, name: option} for s in settings for option in options]
    return settings
