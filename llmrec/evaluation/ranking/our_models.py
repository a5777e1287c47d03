"""Our models as the other rooms serve them: `Recommender` answers the evaluation's queries."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from llmrec.bundle import Bundle
from llmrec.evaluation.data.folds import Fold
from llmrec.evaluation.data.interactions import Interactions, Ints
from llmrec.evaluation.ranking.ranking_model import MOST_QUERIES
from llmrec.evaluation.ranking.topk import TopK, blocks
from llmrec.features.asof.history import History
from llmrec.features.asof.state import UserState
from llmrec.recommender import Recommender
from llmrec.storage import Artifact

#: Labelled rows whose states are in memory at once.
_ROWS = 2_000


@dataclass(frozen=True)
class Variant:
    """One bundle of one seed. Pickled it is the bundle's address: each process loads it once."""

    name: str
    seed: int
    bundle_uri: str
    retrieve: int
    threads: ClassVar[int] = 1  # a block is Python for the most part: threads would wait for each other

    @classmethod
    def load(cls, name: str, seed: int, bundle: Artifact, data: Interactions, retrieve: int) -> "Variant":
        """Raises ValueError where the bundle was made from another corpus."""
        variant = cls(name, seed, bundle.root, retrieve)
        history = variant.recommender.history
        if history.item_ids[1:] != list(data.item_ids) or history.user_ids[1:] != list(data.user_ids):
            raise ValueError(
                f"bundle {bundle.id} (variant {name!r}) knows {len(history.user_ids) - 1} users and "
                f"{len(history.item_ids) - 1} items, the corpus has {data.n_users} and {data.n_items}; evaluate a "
                "bundle on the corpus that it was made from"
            )
        return variant

    @cached_property
    def recommender(self) -> Recommender:
        return Recommender(Bundle.load(self.bundle_uri), retrieve=self.retrieve)

    def __getstate__(self) -> dict[str, Any]:
        return {k: v for k, v in self.__dict__.items() if k != "recommender"}

    def parts(self, fold: Fold) -> list[slice]:
        """Blocks of queries."""
        return blocks(len(fold.queries), fold.data.n_items, most=MOST_QUERIES)

    def open(self, fold: Fold, k: int) -> Callable[[slice], tuple[TopK, TopK]]:
        """Block -> (retrieval and ranker, retrieval alone) as `Recommender` would serve them."""
        model = self.recommender

        def answer(rows: slice) -> tuple[TopK, TopK]:
            times = fold.queries.time[rows]
            states = _states(model.history, fold.queries.user[rows], times)
            found, scores = model.retrieve(states, times, max(k, model.n_retrieve))
            ranked, ranked_scores = model.order(states, times, found, scores, k)
            return _from_history(ranked, ranked_scores), _from_history(found[:, :k], scores[:, :k])

        return answer

    def click_probability(self, users: Ints, items: Ints, times: Ints) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        """(n,) the ranker's probability for row-aligned users, items and times."""
        history, model = self.recommender.history, self.recommender.clicks
        found = [
            model.logits(_states(history, users[b], times[b]), history.items_at(items[b] + 1, times[b]))
            for b in blocks(len(users), 1, _ROWS)
        ]
        return np.asarray(1 / (1 + np.exp(-np.concatenate([*found, np.empty(0)]))), np.float64)


def _states(history: History, users: Ints, times: Ints) -> UserState:
    rows = users + 1  # History keeps row 0 for "unknown"
    return history.users_at(rows, times, history.contexts_at(rows, times))


def _from_history(rows: Ints, scores: np.ndarray[tuple[int, ...], np.dtype[np.float32]]) -> TopK:
    """History's rows are ours + 1; its pads are −1 or 0."""
    return TopK(np.where(rows > 0, rows - 1, -1), np.where(rows > 0, scores, np.float32(-np.inf)))
