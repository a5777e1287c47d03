"""The fits that feature families and retrieval models share: EASE in closed form, iALS through `implicit`."""

from typing import Any

import numpy as np
import scipy.sparse as sp
from scipy.linalg.lapack import dpotrf, dpotri

from llmrec.features.arrays import Floats
from llmrec.threads import one_thread


def ease_weights(X: sp.csr_matrix, l2: float) -> Floats:
    """(n_items, n_items) B = I − P / diag(P) with P = (XᵀX + λI)⁻¹, diagonal zero (Steck, WWW 2019, eq. 8)."""
    gram = (X.T @ X).astype(np.float64).toarray()
    gram[np.diag_indices_from(gram)] += l2
    P = _inverse(gram)
    P /= -np.diag(P)
    np.fill_diagonal(P, 0)
    return P


def _inverse(A: Floats) -> Floats:
    """Of a symmetric positive definite matrix, in its place: by Cholesky, half the work of an LU and no second copy."""
    lower, failed = dpotrf(A.T, lower=True, overwrite_a=True)  # in Fortran's order, which LAPACK overwrites
    if not failed:
        lower, failed = dpotri(lower, lower=True, overwrite_c=True)
    if failed:
        raise np.linalg.LinAlgError(f"minor {failed} of the Gram matrix is not positive: a larger λ makes it so")
    for row in range(len(lower)):
        lower[row, row + 1 :] = lower[row + 1 :, row]
    return np.asarray(lower.T)


def fit_als(X: sp.csr_matrix, **settings: Any) -> Any:
    """`implicit`'s ALS (Hu, Koren & Volinsky, ICDM 2008) on one thread, so that the same seed gives the same bits."""
    from implicit.cpu.als import AlternatingLeastSquares

    with one_thread("blas"):  # many small solves: a thread pool under each slows them down
        model = AlternatingLeastSquares(**settings, num_threads=1)
        model.fit(X, show_progress=False)
    return model
