"""SLIM: sparse non-negative item-item weights."""

import warnings
from typing import Literal

import numpy as np
import scipy.sparse as sp
from pydantic import Field
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import ElasticNet

from llmrec.config.models import ModelConfig
from llmrec.models.base import FitData, ModelInfo
from llmrec.models.retrievers.item_weights import ItemWeights


class SLIMConfig(ModelConfig):
    name: Literal["slim"] = "slim"
    alpha: float = Field(3e-4, gt=0)
    l1_ratio: float = Field(0.1, ge=0, le=1)


class SLIM(ItemWeights):
    """One positive elastic net an item, by scikit-learn."""

    Config = SLIMConfig
    INFO = ModelInfo(
        "SLIM", "sparse non-negative item-item weights, an elastic net an item", "events",
        "Ning & Karypis, ICDM 2011",
    )  # fmt: skip

    def weights(self, data: FitData) -> sp.csr_matrix:
        X = sp.csr_matrix(data.matrix, dtype=np.float64)
        by_item = X.tocsc()
        return sp.csr_matrix(sp.hstack([self._column(X, by_item, j) for j in range(X.shape[1])]), dtype=np.float32)

    def _column(self, X: sp.csr_matrix, by_item: sp.csc_matrix, j: int) -> sp.csc_matrix:
        """(n_items, 1) weights that predict item j from the other items of its users."""
        target = by_item[:, [j]].toarray().ravel()
        users = np.flatnonzero(target)
        related = np.setdiff1d(np.unique(X[users].indices), [j])  # others co-occur with j in nobody: weight 0
        if not len(related):
            return sp.csc_matrix((X.shape[1], 1))
        net = ElasticNet(
            alpha=self.config.alpha, l1_ratio=self.config.l1_ratio, positive=True, fit_intercept=False, max_iter=50,
            tol=1e-3,
        )  # fmt: skip
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # 50 passes rank as well as a converged fit
            net.fit(by_item[:, related], target)
        kept = np.flatnonzero(net.coef_)
        return sp.csc_matrix((net.coef_[kept], (related[kept], np.zeros(len(kept), int))), shape=(X.shape[1], 1))
