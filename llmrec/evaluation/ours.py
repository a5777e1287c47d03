"""Our models as the other rooms serve them: `Recommender` answers the evaluation's queries."""

from dataclasses import dataclass

import numpy as np

from llmrec.bundle import Bundle
from llmrec.evaluation.interactions import Interactions, Ints
from llmrec.evaluation.protocols import Fold
from llmrec.evaluation.topk import TopK, blocks
from llmrec.features.state import UserState
from llmrec.recommender import Recommender
from llmrec.storage import Artifact

#: Queries whose states are in memory at once.
_QUERIES = 2_000


@dataclass(frozen=True)
class Arm:
    """One bundle of one seed, answering queries of `data`."""

    name: str
    seed: int
    recommender: Recommender
    data: Interactions

    @classmethod
    def load(cls, name: str, seed: int, bundle: Artifact, data: Interactions, retrieve: int) -> "Arm":
        """Raises ValueError where the bundle was made from another corpus."""
        recommender = Recommender(Bundle.load(bundle.root), retrieve=retrieve)
        history = recommender.history
        if history.item_ids[1:] != list(data.item_ids) or history.user_ids[1:] != list(data.user_ids):
            raise ValueError(
                f"bundle {bundle.id} (arm {name!r}) knows {len(history.user_ids) - 1} users and "
                f"{len(history.item_ids) - 1} items, the corpus has {data.n_users} and {data.n_items}; evaluate a "
                "bundle on the corpus that it was made from"
            )
        return cls(name, seed, recommender, data)

    def lists(self, fold: Fold, k: int) -> tuple[TopK, TopK]:
        """(retrieval alone, retrieval and ranker) for the fold's queries, as `Recommender` would serve them."""
        parts = [
            self._answer(fold.queries.user[b], fold.queries.time[b], k) for b in blocks(len(fold.queries), 1, _QUERIES)
        ]
        return _joined([p[0] for p in parts], k), _joined([p[1] for p in parts], k)

    def _answer(self, users: Ints, times: Ints, k: int) -> tuple[TopK, TopK]:
        states = self._states(users, times)
        rows, scores = self.recommender.retrieve(states, times, max(k, self.recommender.n_retrieve))
        ranked, ranked_scores = self.recommender.order(states, times, rows, scores, k)
        return _from_history(rows[:, :k], scores[:, :k]), _from_history(ranked, ranked_scores)

    def _states(self, users: Ints, times: Ints) -> UserState:
        history, rows = self.recommender.history, users + 1  # History keeps row 0 for "unknown"
        return history.users_at(rows, times, history.contexts_at(rows, times))

    def click_probability(self, users: Ints, items: Ints, times: Ints) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        """(n,) the ranker's probability for row-aligned users, items and times."""
        history, model = self.recommender.history, self.recommender.clicks
        found = [
            model.logits(self._states(users[b], times[b]), history.items_at(items[b] + 1, times[b]))
            for b in blocks(len(users), 1, _QUERIES)
        ]
        return np.asarray(1 / (1 + np.exp(-np.concatenate([*found, np.empty(0)]))), np.float64)


def _from_history(rows: Ints, scores: np.ndarray[tuple[int, ...], np.dtype[np.float32]]) -> TopK:
    """History's rows are ours + 1; its pads are −1 or 0."""
    return TopK(np.where(rows > 0, rows - 1, -1), np.where(rows > 0, scores, np.float32(-np.inf)))


def _joined(parts: list[TopK], k: int) -> TopK:
    empty = TopK(np.empty((0, k), np.int64), np.empty((0, k), np.float32))
    parts = parts or [empty]
    return TopK(np.concatenate([p.item_rows for p in parts]), np.concatenate([p.scores for p in parts]))
