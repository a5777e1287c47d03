"""Stars predicted from vectors of words alone, by ridge regression: how much of likes and stars the vectors tell."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from llmrec.tuning.texts import TuningTexts

Floats = npt.NDArray[np.float64]
Vectors = npt.NDArray[np.float32]
_LATEST = 5
#: In units of a column's own sum of squares.
_STRENGTHS = (0.03, 0.3, 3.0, 30.0)


@dataclass(frozen=True)
class Predicted:
    """Rows of reviews with stars from T1 on, and their predicted stars, both (n,)."""

    rows: npt.NDArray[np.int64]
    stars: Floats


def predict(texts: TuningTexts, vectors: Vectors, first: int) -> Predicted:
    """Fit on reviews before row `first`, the strength on their last fifth; predict those from it on.

    `vectors` (R + I, d) of all texts. A review's own words are never read.
    """
    known = np.flatnonzero(np.isfinite(texts.stars))
    features = past_words(texts, vectors)
    start = int(first * 0.8)
    fit, choose, test = known[known < start], known[(known >= start) & (known < first)], known[known >= first]
    if not len(fit) or not len(choose) or not len(test):
        return Predicted(np.empty(0, np.int64), np.empty(0))
    tried = ridge(features[fit], texts.stars[fit], features[choose])
    errors = [float(np.mean((guess - texts.stars[choose]) ** 2)) for guess in tried]
    before = known[known < first]
    return Predicted(test, ridge(features[before], texts.stars[before], features[test])[int(np.argmin(errors))])


def past_words(texts: TuningTexts, vectors: Vectors) -> Vectors:
    """(R, 5d): the user's words, the item's own, its reviews', and both products, from strictly before each review."""
    mine, others = (_latest(texts, vectors, of) for of in (texts.user, texts.item))
    own = vectors[texts.n_reviews + texts.item]
    return np.concatenate([mine, own, others, mine * own, mine * others], axis=1)


def _latest(texts: TuningTexts, vectors: Vectors, of: npt.NDArray[np.int64]) -> Vectors:
    """(R, d) the mean of the latest reviews of the same user, or item, strictly before; 0 where there are none."""
    made = np.zeros((texts.n_reviews, vectors.shape[1]), np.float32)
    order = np.lexsort((np.arange(texts.n_reviews), of))
    starts = np.searchsorted(of[order], of)
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    for row in range(texts.n_reviews):
        before = order[starts[row] : place[row]]
        before = before[texts.time[before] < texts.time[row]][-_LATEST:]
        if len(before):
            made[row] = vectors[before].mean(0)
    return made


def ridge(x: Vectors, y: Floats, asked: Vectors) -> list[Floats]:
    """Predictions for `asked`, one a strength; columns are scaled by their spread."""
    middle, spread = x.mean(0), x.std(0) + 1e-6
    z, level = (x - middle) / spread, float(y.mean())
    values, axes = np.linalg.eigh((z.T @ z).astype(np.float64))
    turned, shown = axes.T @ (z.T @ (y - level)), ((asked - middle) / spread) @ axes
    return [shown @ (turned / (np.maximum(values, 0) + strength * len(x))) + level for strength in _STRENGTHS]
