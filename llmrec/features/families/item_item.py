"""The fits that feature families and retrieval models share: EASE in closed form, iALS through `implicit`."""

from typing import Any

import numpy as np
import scipy.sparse as sp

from llmrec.features.arrays import Floats
from llmrec.threads import one_thread


def ease_weights(X: sp.csr_matrix, l2: float) -> Floats:
    """(n_items, n_items) B = I − P / diag(P) with P = (XᵀX + λI)⁻¹, diagonal zero (Steck, WWW 2019, eq. 8)."""
    gram = (X.T @ X).toarray().astype(np.float64)
    gram[np.diag_indices_from(gram)] += l2
    P = np.linalg.inv(gram)
    B = -P / np.diag(P)
    np.fill_diagonal(B, 0)
    return np.asarray(B)


def fit_als(X: sp.csr_matrix, **settings: Any) -> Any:
    """`implicit`'s ALS (Hu, Koren & Volinsky, ICDM 2008) on one thread, so that the same seed gives the same bits."""
    from implicit.cpu.als import AlternatingLeastSquares

    with one_thread("blas"):  # many small solves: a thread pool under each slows them down
        model = AlternatingLeastSquares(**settings, num_threads=1)
        model.fit(X, show_progress=False)
    return model
