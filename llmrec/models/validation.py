"""What validation measures: full ranking for the towers, AUC and log loss for the ranker."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from llmrec.features.asof.history import History
from llmrec.features.asof.state import UserState
from llmrec.features.dataset.rows import Examples
from llmrec.models import metrics
from llmrec.models.base import ModelContext, Requests
from llmrec.variants import VALIDATED

Ints = npt.NDArray[np.int64]

#: What stands for a variant's models together, beside each model's own figures.
WHOLE = "whole"
#: Queries beyond this many are thinned evenly over time.
MAX_QUERIES = 5_000


@dataclass(frozen=True)
class ValidationQueries:
    """Q validation clicks: who asked when, and what they then took."""

    users: UserState
    times: Ints  # (Q,) ms
    targets: Ints  # (Q,) item rows

    @classmethod
    def of(cls, history: History, clicks: Examples, limit: int = MAX_QUERIES) -> "ValidationQueries":
        """From rows with click = 1."""
        keep = np.unique(np.linspace(0, len(clicks) - 1, min(limit, len(clicks))).round().astype(np.int64))
        rows = clicks.take(keep)
        asking = history.user_rows(list(rows.user_ids))
        users = history.users_at(asking, rows.times, history.contexts_at(asking, rows.times))
        return cls(users, rows.times, history.item_rows(list(rows.item_ids)))

    def __len__(self) -> int:
        return len(self.times)

    def requests(self, context: ModelContext) -> Requests:
        """As a retriever is asked them."""
        return Requests(self.users.rows, self.times, context.as_of, self.users)


def ranking_metrics(rows: Ints, targets: Ints) -> dict[str, float]:
    """Recall and NDCG of lists (Q, k ≥ 50), best first, with one target each; a target not listed counts as missed."""
    each = np.arange(len(targets) + 1)
    hit = metrics.hits(rows, each, targets, int(max(rows.max(initial=0), targets.max(initial=0))) + 1)
    found = metrics.ranking(hit, np.ones(len(targets), np.int64), (10, 50), ("recall", "ndcg"))
    return {name: float(values.mean()) for name, values in found.items()}


def whole_metrics(ranks: Ints, n_queries: int) -> dict[str, float]:
    """VALIDATED of lists in which some queries' targets have these ranks (from 1), and the others none."""
    name, k = metrics.parse(VALIDATED)
    hit = ranks[:, None] == np.arange(1, k + 1)
    found = metrics.ranking(hit, np.ones(len(ranks), np.int64), [k], [name])[VALIDATED]
    return {VALIDATED: float(found.sum() / max(n_queries, 1))}


def click_metrics(click: npt.NDArray[np.float32], probability: npt.NDArray[np.floating[Any]]) -> dict[str, float]:
    """Log loss and, where both classes occur, AUC."""
    from sklearn.metrics import log_loss, roc_auc_score  # a second, which servers never need

    found = {"log_loss": float(log_loss(click, np.clip(probability, 1e-7, 1 - 1e-7), labels=[0, 1]))}
    if 0 < click.mean() < 1:
        found["auc"] = float(roc_auc_score(click, probability))
    return found
