"""BPR: pairwise matrix factorisation, through `implicit`."""

from typing import Literal

import numpy as np
from implicit.cpu.bpr import BayesianPersonalizedRanking
from pydantic import Field

from llmrec.config.models import ModelConfig
from llmrec.models.base import Arrays, Bools, FitData, Floats, ModelInfo, Requests, Retriever


class BPRConfig(ModelConfig):
    name: Literal["bpr"] = "bpr"
    factors: int = Field(64, ge=1)
    learning_rate: float = Field(0.05, gt=0)
    regularization: float = Field(0.01, ge=0)
    iterations: int = Field(100, ge=1)
    prior: float = Field(1.0, ge=0, description="share of log popularity that is given back")


class BPR(Retriever):
    """`implicit` draws the item to lose a comparison from the events, so as often as it is popular, where the paper
    draws all items alike. The scores then are log p(item | user) less log popularity; `prior` times that is given back.
    """

    Config = BPRConfig
    INFO = ModelInfo(
        "BPR", "pairwise matrix factorisation; users that training never saw get the fallback", "events",
        "Rendle et al., UAI 2009",
    )  # fmt: skip

    def fit(self, data: FitData) -> None:
        X, c = data.matrix, self.config
        # one thread: the lock-free updates of several give other factors at every run
        model = BayesianPersonalizedRanking(
            factors=c.factors, learning_rate=c.learning_rate, regularization=c.regularization, iterations=c.iterations,
            random_state=data.seed, num_threads=1,
        )  # fmt: skip
        model.fit(X, show_progress=False)
        given_back = c.prior * np.log1p(np.bincount(X.indices, minlength=X.shape[1]))
        self._arrays: Arrays = {
            "users": model.user_factors, "items": model.item_factors, "trained": np.diff(X.indptr) > 0,
            "given_back": given_back,
        }  # fmt: skip

    def scores(self, requests: Requests) -> Floats:
        a = self._arrays
        scores = a["users"][np.maximum(requests.users - 1, 0)] @ a["items"].T + a["given_back"]
        return np.pad(np.asarray(scores, np.float32), ((0, 0), (1, 0)))

    def answers(self, requests: Requests) -> Bools:
        return np.asarray((requests.users > 0) & self._arrays["trained"][np.maximum(requests.users - 1, 0)])

    def state(self) -> Arrays:
        return self._arrays

    def restore(self, arrays: Arrays, data: FitData) -> None:
        self._arrays = arrays
