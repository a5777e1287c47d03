"""Metrics of predicted labels: clicks and likes (probabilities), stars (numbers). Each takes row weights, so that one
definition serves the estimate (all ones) and every jackknife sample (0 for the rows of the clusters left out).

| metric                     | value                                                                              |
|----------------------------|------------------------------------------------------------------------------------|
| `auc`                      | P(score of a positive > of a negative), ties count half                            |
| `gauc`                     | mean of the users' own AUC, weighted by their rows; users with one class left out  |
| `log_loss`                 | −mean log p of the observed class, p clipped to [1e-7, 1 − 1e-7]                   |
| `accuracy`                 | share of rows whose class is right at `threshold` (p ≥ threshold is positive)      |
| `precision`, `recall`, `f1`| at `threshold`; 0 where nothing is predicted positive                              |
| `ece`                      | Σ_bins (share of rows) · abs(mean p − share of positives), 15 equal bins (Guo 2017)|
| `rmse`, `mae`              | of stars                                                                           |
"""

import numpy as np
import numpy.typing as npt

from llmrec.evaluation.statistics.bootstrap import WeightedMetrics
from llmrec.features.asof.interactions import Floats, Ints

CLICK = ("auc", "gauc", "log_loss", "accuracy", "precision", "recall", "f1", "ece")
STARS = ("rmse", "mae")
BINS = 15
_CLIP = 1e-7
Bools = npt.NDArray[np.bool_]


def auc(label: Bools, score: Floats, weight: Floats | None = None) -> Floats:
    """(R,) area under the ROC curve for each of the (R, n) weights; NaN where a class has no weight."""
    weight = np.ones((1, len(label))) if weight is None else weight
    order = np.argsort(score, kind="stable")
    ranked = score[order]
    start = np.flatnonzero(np.append(True, ranked[1:] != ranked[:-1]))
    w, positive = weight[:, order], label[order]
    p = np.add.reduceat(w * positive, start, axis=1)
    n = np.add.reduceat(w * ~positive, start, axis=1)
    won = (p * (n.cumsum(axis=1) - n / 2)).sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(won / (p.sum(axis=1) * n.sum(axis=1)))


def auc_by_group(label: Bools, score: Floats, group: Ints) -> tuple[Ints, Floats]:
    """(groups, AUC of each): by ranks within the group; NaN where a group has one class."""
    groups, inverse = np.unique(group, return_inverse=True)
    order = np.lexsort((score, inverse))
    g, s, y = inverse[order], score[order], label[order]
    begin = np.searchsorted(g, np.arange(len(groups)))
    new = np.append(True, (g[1:] != g[:-1]) | (s[1:] != s[:-1]))
    tie = np.cumsum(new) - 1
    first = np.flatnonzero(new)
    last = np.append(first[1:], len(g)) - 1
    rank = (first[tie] + last[tie]) / 2 - begin[g] + 1  # mean rank among ties, 1-based within the group
    n_positive = np.bincount(g, y, len(groups))
    n_negative = np.bincount(g, ~y, len(groups))
    rank_sum = np.bincount(g, rank * y, len(groups))
    with np.errstate(invalid="ignore", divide="ignore"):
        return groups, (rank_sum - n_positive * (n_positive + 1) / 2) / (n_positive * n_negative)


def click_loss(label: Bools, probability: Floats) -> Floats:
    """(n,) −log p of each row's class."""
    clipped = np.clip(probability, _CLIP, 1 - _CLIP)
    return np.asarray(-np.where(label, np.log(clipped), np.log1p(-clipped)))


def click_metrics(label: Bools, probability: Floats, user: Ints, threshold: float) -> WeightedMetrics:
    """The metrics in CLICK of (n,) rows as a function of (R, n) weights."""
    p = np.asarray(probability, np.float64)
    loss = click_loss(label, p)
    predicted = p >= threshold
    groups, by_user = auc_by_group(label, p, user)
    own = by_user[np.searchsorted(groups, user)]  # each row carries its user's AUC: rows are the weights
    bins = np.minimum((p * BINS).astype(int), BINS - 1)

    def at(weight: Floats) -> dict[str, Floats]:
        total = weight.sum(axis=1)
        true_positive = weight @ (label & predicted)
        precision = _share(true_positive, weight @ predicted)
        recall = _share(true_positive, weight @ label)
        return {
            "auc": auc(label, p, weight),
            "gauc": _share(weight @ np.nan_to_num(own), weight @ np.isfinite(own), np.nan),
            "log_loss": weight @ loss / total,
            "accuracy": weight @ (label == predicted) / total,
            "precision": precision,
            "recall": recall,
            "f1": _share(2 * precision * recall, precision + recall),
            "ece": _gaps(weight, bins, p - label) / total,
        }

    return at


def _gaps(weight: Floats, bins: Ints, residual: Floats) -> Floats:
    """(R,) Σ_bins |Σ weight · (p − label)|."""
    inside = np.eye(BINS)[bins]  # (n, BINS)
    return np.asarray(np.abs(weight @ (inside * residual[:, None])).sum(axis=1))


def _share(part: Floats, whole: Floats, empty: float = 0.0) -> Floats:
    return np.asarray(np.where(whole > 0, part / np.where(whole > 0, whole, 1), empty))


def star_metrics(stars: Floats, predicted: Floats) -> WeightedMetrics:
    """The metrics in STARS of (n,) rows as a function of (R, n) weights."""
    error = np.asarray(predicted, np.float64) - stars

    def at(weight: Floats) -> dict[str, Floats]:
        total = weight.sum(axis=1)
        return {"rmse": np.sqrt(weight @ error**2 / total), "mae": weight @ np.abs(error) / total}

    return at


def calibration(label: Bools, probability: Floats) -> list[tuple[float, float, int]]:
    """(mean p, share of positives, rows) of each non-empty bin of `ece`."""
    bins = np.minimum((probability * BINS).astype(int), BINS - 1)
    found = []
    for b in np.unique(bins):
        inside = bins == b
        found.append((float(probability[inside].mean()), float(label[inside].mean()), int(inside.sum())))
    return found
