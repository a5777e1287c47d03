"""Ranking metrics from lists and truth alone: the same that anyone can recompute from the Parquet files.

With h_r = 1 where the item at rank r (1-based) is relevant, n the number of relevant items of the query, m = min(k, n):

| metric@k     | value of a query                                                      | denominator |
|--------------|-----------------------------------------------------------------------|-------------|
| `hit_rate`   | 1 where any h_r = 1, r ≤ k                                            | 1           |
| `recall`     | Σ h_r / n                                                             | n           |
| `recall_min` | Σ h_r / m: reaches 1 where k < n                                      | min(k, n)   |
| `precision`  | Σ h_r / k, short lists count as wrong                                 | k           |
| `ndcg`       | Σ h_r / log2(r + 1) over Σ_{r ≤ m} 1 / log2(r + 1) (Järvelin 2002)    | min(k, n)   |
| `mrr`        | 1 / r of the first hit, 0 without one                                 | 1           |
| `log_rank`   | 1 − log r / log(k + 1) of the first hit: the mean log rank, scaled; 0 without one | 1    |
| `map`        | Σ h_r · precision@r / m                                               | min(k, n)   |

A metric of a model is the mean over queries; with one relevant item a query, recall and hit rate agree.
"""

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from llmrec.models.topk import blocks
from llmrec.names import RANKING_METRICS

Hits = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

RANKING = tuple(RANKING_METRICS)
BEYOND_ACCURACY = ("coverage", "gini", "novelty", "diversity_text", "diversity_cooccurrence")


def parse(metric: str) -> tuple[str, int]:
    """("ndcg", 10) of "ndcg@10". Raises ValueError naming what is allowed."""
    name, _, cutoff = metric.partition("@")
    if name not in RANKING + BEYOND_ACCURACY or not cutoff.isdigit() or int(cutoff) < 1:
        allowed = ", ".join(RANKING + BEYOND_ACCURACY)
        raise ValueError(f"metric: found {metric!r}, expected NAME@K with a name among {allowed} and K ≥ 1")
    return name, int(cutoff)


def hits(item_rows: Ints, indptr: Ints, items: Ints, n_items: int) -> Hits:
    """(Q, k) whether each listed item is relevant; query q's are `items[indptr[q]:indptr[q + 1]]`; −1 never is."""
    relevant = np.sort(np.repeat(np.arange(len(item_rows)), np.diff(indptr)) * n_items + items)
    if not len(relevant):
        return np.zeros(item_rows.shape, bool)
    key = np.arange(len(item_rows))[:, None] * n_items + item_rows
    at = np.minimum(np.searchsorted(relevant, key.ravel()), len(relevant) - 1)
    return np.asarray((relevant[at].reshape(item_rows.shape) == key) & (item_rows >= 0))


def ranking(hit: Hits, n_relevant: Ints, cutoffs: Iterable[int], names: Iterable[str] = RANKING) -> dict[str, Floats]:
    """`NAME@K` -> (Q,) value of each query; `hit` (Q, ≥ K), `n_relevant` (Q,) ≥ 1.

    Raises ValueError where the lists are shorter than a cut-off or a query has no relevant item.
    """
    if (n_relevant < 1).any():
        raise ValueError("found a query without a relevant item, expected at least one: it has no recall")
    names = tuple(names)
    out: dict[str, Floats] = {}
    for k in cutoffs:
        if k > hit.shape[1]:
            raise ValueError(f"metrics at {k} need lists of {k} items, found {hit.shape[1]}: raise `list_length`")
        values = _at(hit[:, :k].astype(np.float64), n_relevant)
        out |= {f"{name}@{k}": values[name] for name in names}
    return out


def _at(hit: Floats, n: Ints) -> dict[str, Floats]:
    """Every metric of lists cut to k: `hit` (Q, k)."""
    k = hit.shape[1]
    ranks = np.arange(1, k + 1)
    found = hit.cumsum(axis=1)
    total = found[:, -1]
    m = np.minimum(k, n)
    gain = 1 / np.log2(ranks + 1)
    any_hit, first = total > 0, hit.argmax(axis=1) + 1
    return {
        "hit_rate": any_hit.astype(np.float64),
        "recall": total / n,
        "recall_min": total / m,
        "precision": total / k,
        "ndcg": hit @ gain / gain.cumsum()[m - 1],
        "mrr": np.where(any_hit, 1 / first, 0.0),
        "log_rank": np.where(any_hit, 1 - np.log(first) / np.log(k + 1), 0.0),
        "map": (hit * found) @ (1 / ranks) / m,
    }


def recall_curve(hit: Hits, n_relevant: Ints, cutoffs: Sequence[int]) -> Floats:
    """(Q, n_cutoffs) recall of each query at each cut-off ≤ k."""
    return np.asarray(hit.cumsum(axis=1)[:, np.asarray(cutoffs) - 1] / n_relevant[:, None])


def listed(item_rows: Ints, n_items: int) -> Ints:
    """(n_items,) in how many lists each item is."""
    return np.bincount(item_rows[item_rows >= 0], minlength=n_items)


def coverage(count: Ints, n_candidates: int) -> float:
    """Share of the `n_candidates` recommendable items that occur in any list; `count` (n_items,): see `listed`."""
    return np.count_nonzero(count) / n_candidates


def gini(count: Ints, n_candidates: int) -> float:
    """Gini coefficient of how often each of `n_candidates` items is listed: 0 all alike, → 1 one item alone."""
    count = np.sort(count[count > 0])
    if not len(count):
        return 0.0
    padded = np.concatenate([np.zeros(n_candidates - len(count)), count])
    weight = 2 * np.arange(1, n_candidates + 1) - n_candidates - 1
    return float(weight @ padded / (n_candidates * padded.sum()))


def novelty(item_rows: Ints, popularity: Ints) -> Floats:
    """(Q,) mean self-information −log2 p of the listed items (Zhou 2010), p = (count + 1) / (events + items).

    `popularity` (n_items,): training events of each item, the first row being no item; the added one keeps unseen items
    finite.
    """
    p = (popularity + 1) / (popularity.sum() + len(popularity) - 1)
    listed = item_rows >= 0
    bits = np.where(listed, -np.log2(p)[np.maximum(item_rows, 0)], 0)
    return np.asarray(bits.sum(axis=1) / np.maximum(listed.sum(axis=1), 1))


def diversity_text(item_rows: Ints, vectors: npt.NDArray[np.float32]) -> Floats:
    """(Q,) mean of 1 − cosine over the pairs of each list; `vectors` (n_items, dim), zero rows where there is no text.

    Over m unit vectors the sum of all pairs is (‖Σ v‖² − m) / 2, so no pair is ever formed. Lists with fewer than two
    items that have text are NaN.
    """
    total, has_text = np.empty(len(item_rows)), np.empty(item_rows.shape, bool)
    for rows in blocks(len(item_rows), item_rows.shape[1] * vectors.shape[1]):
        found = vectors[np.maximum(item_rows[rows], 0)]  # (B, k, dim)
        norm = np.linalg.norm(found, axis=2)
        has_text[rows] = (norm > 0) & (item_rows[rows] >= 0)
        unit = (found / np.where(norm > 0, norm, 1)[..., None]).astype(np.float64) * has_text[rows][..., None]
        total[rows] = (unit.sum(axis=1) ** 2).sum(axis=1)
    return _mean_pair_distance(total, has_text.sum(axis=1))


def _mean_pair_distance(squared_sum: Floats, m: Ints) -> Floats:
    pairs = m * (m - 1) / 2
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.where(pairs > 0, 1 - (squared_sum - m) / 2 / pairs, np.nan))


def diversity_cooccurrence(item_rows: Ints, X: sp.csc_matrix) -> Floats:
    """(Q,) mean of 1 − cosine between the users of listed items; `X` (n_users, n_items) training matrix, 0/1.

    Lists with fewer than two items that training knows are NaN.
    """
    count = np.diff(X.indptr)
    known = (count > 0)[np.maximum(item_rows, 0)] & (item_rows >= 0)
    items, column = np.unique(item_rows[known], return_inverse=True)
    unit = X[:, items].astype(np.float64) @ sp.diags(1 / np.sqrt(count[items]))
    cosine = (unit.T @ unit).tocsr()  # of the listed items alone
    total = np.empty(len(item_rows))
    indptr = np.concatenate([[0], np.cumsum(known.sum(axis=1))])
    lists = sp.csr_matrix((np.ones(len(column)), column, indptr), (len(item_rows), len(items)))
    for rows in blocks(len(item_rows), len(items)):
        total[rows] = np.asarray((lists[rows] @ cosine).multiply(lists[rows]).sum(axis=1)).ravel()
    return _mean_pair_distance(total, known.sum(axis=1))


def list_metrics(item_rows: Ints, indptr: Ints, items: Ints, n_items: int, cutoffs: Iterable[int]) -> dict[str, Floats]:
    """`ranking` of the lists of one model."""
    return ranking(hits(item_rows, indptr, items, n_items), np.diff(indptr), cutoffs)
