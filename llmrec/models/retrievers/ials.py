"""iALS: matrix factorisation of who took what, through `implicit`."""

from typing import Any, Literal

import numpy as np
from implicit.cpu.als import AlternatingLeastSquares
from pydantic import Field

from llmrec.config.models import ModelConfig
from llmrec.features.families.item_item import fit_als
from llmrec.models.base import Arrays, FitData, Floats, ModelInfo, Requests, Retriever


class IALSConfig(ModelConfig):
    name: Literal["ials"] = "ials"
    factors: int = Field(64, ge=1)
    regularization: float = Field(10.0, ge=0)
    alpha: float = Field(1.0, gt=0, description="weight of an event against an unobserved pair")
    iterations: int = Field(15, ge=1)


class IALS(Retriever):
    """Item factors are frozen; the user's vector is solved from the history as of the request."""

    Config = IALSConfig
    INFO = ModelInfo(
        "iALS", "implicit ALS; item factors are frozen, the user's vector is solved from the history as of the query",
        "events", "Hu, Koren & Volinsky, ICDM 2008",
    )  # fmt: skip

    def fit(self, data: FitData) -> None:
        self._use(fit_als(data.matrix, random_state=data.seed, **self._settings()).item_factors)

    def scores(self, requests: Requests) -> Floats:
        users = self._model.recalculate_user(np.arange(len(requests)), requests.histories[:, 1:])
        return np.pad(np.asarray(users @ self._model.item_factors.T, np.float32), ((0, 0), (1, 0)))

    def state(self) -> Arrays:
        return {"item_factors": self._model.item_factors}

    def restore(self, arrays: Arrays, data: FitData) -> None:
        self._use(arrays["item_factors"])

    def _use(self, item_factors: Floats) -> None:
        self._model = AlternatingLeastSquares(**self._settings(), num_threads=1)
        self._model.item_factors = np.array(item_factors)  # implicit's Cython wants to be able to write

    def _settings(self) -> dict[str, Any]:
        return dict(self.config.model_dump(exclude={"name"}))

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Ray's object store gives arrays that nobody may write to."""
        self.__dict__ |= state
        self._use(self._model.item_factors)
