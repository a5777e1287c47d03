"""Item-item models: fitted on training rows, applied to the user's history as of the query."""

import warnings
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
from implicit.nearest_neighbours import all_pairs_knn, normalize
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import ElasticNet

from llmrec.evaluation.baselines.base import Baseline, Block
from llmrec.evaluation.data.folds import Fold
from llmrec.evaluation.data.interactions import Scores


@dataclass
class ItemKNN(Baseline):
    """Cosine between items' users, the `neighbours` nearest of each item (0: all); through `implicit`."""

    neighbours: int = 0
    label: ClassVar[str] = "item-kNN"
    description: ClassVar[str] = "cosine over co-occurring users (implicit), summed over the user's history"

    def fit(self, fold: Fold) -> None:
        X = fold.data.matrix(fold.train)
        unit = sp.csr_matrix(normalize(X.T).T)
        near = all_pairs_knn(unit, self.neighbours or X.shape[1], show_progress=False)
        self._weights = sp.csr_matrix(near, dtype=np.float32)

    def scores(self, block: Block) -> Scores:
        return np.asarray((block.histories @ self._weights).toarray(), np.float32)


@dataclass
class EASE(Baseline):
    """Steck, "Embarrassingly Shallow Autoencoders for Sparse Data" (WWW 2019), eq. 8; dense in the items."""

    regularization: float = 200.0
    label: ClassVar[str] = "EASE"
    description: ClassVar[str] = "closed-form item-item weights with a zero diagonal (Steck 2019)"

    def fit(self, fold: Fold) -> None:
        X = fold.data.matrix(fold.train)
        self._weights = ease_weights(X, self.regularization)

    def scores(self, block: Block) -> Scores:
        return np.asarray(block.histories @ self._weights, np.float32)


def ease_weights(X: sp.csr_matrix, regularization: float) -> npt.NDArray[np.float32]:
    """(n_items, n_items) B = I − P / diag(P) with P = (XᵀX + λI)⁻¹, diagonal zero."""
    gram = (X.T @ X).toarray().astype(np.float64)
    gram[np.diag_indices_from(gram)] += regularization
    P = np.linalg.inv(gram)
    B = -P / np.diag(P)
    np.fill_diagonal(B, 0)
    return np.asarray(B, np.float32)


@dataclass
class SLIM(Baseline):
    """Ning & Karypis, "SLIM: Sparse Linear Methods" (ICDM 2011): one positive elastic net an item, by scikit-learn."""

    alpha: float = 3e-4
    l1_ratio: float = 0.1
    label: ClassVar[str] = "SLIM"
    description: ClassVar[str] = "sparse non-negative item-item weights, an elastic net an item (Ning & Karypis 2011)"

    def fit(self, fold: Fold) -> None:
        X = sp.csr_matrix(fold.data.matrix(fold.train), dtype=np.float64)
        by_item = X.tocsc()
        columns = [self._column(X, by_item, j) for j in range(X.shape[1])]
        self._weights = sp.csr_matrix(sp.hstack(columns), dtype=np.float32)

    def _column(self, X: sp.csr_matrix, by_item: sp.csc_matrix, j: int) -> sp.csc_matrix:
        """(n_items, 1) weights that predict item j from the other items of its users."""
        target = by_item[:, [j]].toarray().ravel()
        users = np.flatnonzero(target)
        related = np.setdiff1d(np.unique(X[users].indices), [j])  # others co-occur with j in nobody: weight 0
        if not len(related):
            return sp.csc_matrix((X.shape[1], 1))
        net = ElasticNet(
            alpha=self.alpha, l1_ratio=self.l1_ratio, positive=True, fit_intercept=False, max_iter=50, tol=1e-3
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # 50 passes rank as well as a converged fit
            net.fit(by_item[:, related], target)
        kept = np.flatnonzero(net.coef_)
        entries = (net.coef_[kept], (related[kept], np.zeros(len(kept), int)))
        return sp.csc_matrix(entries, shape=(X.shape[1], 1))

    def scores(self, block: Block) -> Scores:
        return np.asarray((block.histories @ self._weights).toarray(), np.float32)
