"""The second stage: the ranker's click logit, put back on the scale of "which item next", and what it is blended with.

The ranker is fitted on clicks against negatives drawn by popularity, q(i | t). Its logit therefore tends to
log p(i | u, t) - log q(i | t) + constant: popularity is divided out of it. Ordering all candidates by the logit would
rank as if every item were equally popular. The remedy is the prior correction of case-control sampling (King & Zeng,
"Logistic regression in rare events data", 2001, section 4.1; for sampled negatives Bengio & Senécal, 2008): add
log q(i | t) back. How much of each term to trust is fitted: a conditional logit (McFadden, 1974) over
[retrieval score, click logit, log popularity as of now by window], on the queries of [T1, T2) that no model has seen.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from scipy.optimize import minimize

from llmrec.features.asof.history import History
from llmrec.features.asof.state import Counted, ItemState, UserState
from llmrec.features.dataset.spec import FeatureSpec
from llmrec.features.families.columns import FeatureSelection
from llmrec.models.ranker import Ranker

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

#: Added to a (decayed) count before its logarithm. Negatives are drawn by count + 1, so log(count + 1) is log q.
SMOOTHING = 1.0


def popularity_columns(days: Sequence[float]) -> tuple[str, ...]:
    """Names of `log_popularity`'s columns: all events, then the decayed windows."""
    return ("log_popularity", *(f"log_popularity_{d:g}d" for d in days))


def log_popularity(items: Counted) -> npt.NDArray[np.float64]:
    """(I, 1 + n_windows): log of the smoothed count and of the decayed counts, as of each row's time."""
    return np.log(np.column_stack([items.count, items.decayed]) + SMOOTHING)


@dataclass(frozen=True)
class ScoreBlender:
    """score = sum of weight × column; `fallback` is the popularity column that answers where nobody is known."""

    columns: tuple[str, ...]
    weights: tuple[float, ...]
    fallback: str

    @classmethod
    def prior_correction(cls, days: Sequence[float]) -> "ScoreBlender":
        """Click logit + log q and nothing else: what theory says before any query is seen."""
        names = ("retrieval", "click_logit", *popularity_columns(days))
        return cls(names, tuple(float(n in ("click_logit", "log_popularity")) for n in names), "log_popularity")

    def score(self, values: npt.NDArray[np.float64]) -> Floats:
        """(N, n_columns) → (N,)."""
        return np.asarray(values @ np.asarray(self.weights), np.float32)

    def popularity(self, items: Counted) -> Floats:
        """(I,) the fallback's score."""
        column = self.columns.index(self.fallback) - 2
        return np.asarray(log_popularity(items)[:, column], np.float32)


class ClickModel:
    """The ranker with the features it was fitted on."""

    def __init__(self, ranker: Ranker, spec: FeatureSpec, history: History, selection: FeatureSelection) -> None:
        self.ranker, self.spec, self.history, self.selection = ranker, spec, history, selection

    @torch.inference_mode()
    def logits(self, users: UserState, items: ItemState) -> Floats:
        """(N,) click logits of row-aligned states; `users` may be one row for all items."""
        self.ranker.eval()
        n = len(items)
        once = len(users) == 1
        user = self.spec.user_features(users)[:, self.selection.user]
        idx, past, ages = self.spec.user_idx(users.rows), self.spec.history_idx(users), self.spec.history_ages(users)
        if once and n != 1:
            user, idx, past, ages = (np.broadcast_to(x, (n, *x.shape[1:])) for x in (user, idx, past, ages))
            users = users.repeat(n)
        item = self.spec.item_features(items)[:, self.selection.item]
        pair = self.spec.pair_features(users, items)[:, self.selection.pair]
        dense = np.concatenate([user, item, pair], axis=1)
        logits = self.ranker(
            torch.tensor(idx).long(), torch.as_tensor(self.spec.item_idx(items.rows)).long(),
            torch.tensor(past).long(), torch.tensor(ages), torch.as_tensor(dense),
        )  # fmt: skip
        return np.asarray(logits.numpy(), np.float32)

    def columns(self, user: UserState, rows: Ints, retrieval: Floats, time: int) -> npt.NDArray[np.float64]:
        """One user's candidates `rows` (N,) with their retrieval scores (N,) → the inputs of `ScoreBlender`."""
        items = self.history.items_at(rows, np.full(len(rows), time, np.int64))
        return np.column_stack([retrieval, self.logits(user, items), log_popularity(items)])


def fit_score_blender(
    values: Sequence[npt.NDArray[np.float64]],
    targets: Sequence[int],
    start: ScoreBlender,
    ridge: float = 1.0,
) -> ScoreBlender:
    """Weights by penalised conditional likelihood: softmax over each query's candidates, the target being one.

    `values[q]` (N_q, n_columns) and `targets[q]`, the target's row in it. The penalty pulls the weights, in units of
    each column's spread within a query, to those of `start`; without any query `start` is returned.
    """
    if not values:
        return start
    centred = [v - v.mean(0) for v in values]
    spread = np.sqrt(np.mean([np.mean(c * c, axis=0) for c in centred], axis=0)) + 1e-9
    scaled = [c / spread for c in centred]
    origin = np.asarray(start.weights) * spread

    def objective(weights: npt.NDArray[np.float64]) -> tuple[float, npt.NDArray[np.float64]]:
        loss = 0.5 * ridge * float(np.sum((weights - origin) ** 2))
        gradient = ridge * (weights - origin)
        for x, target in zip(scaled, targets, strict=True):
            score = x @ weights
            score -= score.max()
            p = np.exp(score)
            total = p.sum()
            loss += float(np.log(total) - score[target])
            gradient += (p / total) @ x - x[target]
        return loss, gradient

    found = minimize(objective, origin, jac=True, method="L-BFGS-B")
    return ScoreBlender(start.columns, tuple(float(w) for w in found.x / spread), start.fallback)
