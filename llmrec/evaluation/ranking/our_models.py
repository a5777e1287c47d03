"""Our models as the other rooms serve them: `Recommender` answers the evaluation's queries."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

from llmrec.bundle import Bundle, BundleFile
from llmrec.evaluation.data.folds import Fold
from llmrec.evaluation.ranking.ranking_model import MOST_QUERIES
from llmrec.evaluation.ranking.topk import TopK
from llmrec.features.asof.history import History
from llmrec.features.asof.interactions import Interactions, Ints
from llmrec.features.asof.state import UserState
from llmrec.models.topk import blocks
from llmrec.recommender import Recommender
from llmrec.storage import Artifact


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
        if list(history.item_ids) != list(data.item_ids) or list(history.user_ids) != list(data.user_ids):
            raise ValueError(
                f"bundle {bundle.id} (variant {name!r}) knows {len(history.user_ids) - 1} users and "
                f"{len(history.item_ids) - 1} items, the corpus has {data.n_users - 1} and {data.n_items - 1}; "
                "evaluate a bundle on the corpus that it was made from"
            )
        return variant

    @cached_property
    def bundle(self) -> Bundle:
        return Bundle.load(self.bundle_uri)

    @cached_property
    def recommender(self) -> Recommender:
        return self.bundle.recommender(self.retrieve)

    @property
    def settings(self) -> BundleFile:
        return self.bundle.settings

    def __getstate__(self) -> dict[str, Any]:
        return {k: v for k, v in self.__dict__.items() if k not in ("recommender", "bundle")}

    def parts(self, fold: Fold) -> list[slice]:
        """Blocks of queries."""
        return blocks(len(fold.queries), fold.data.n_items, most=MOST_QUERIES)

    def open(self, fold: Fold, k: int) -> Callable[[slice], tuple[TopK, TopK]]:
        """Block -> (retrieval and ranker, retrieval alone) as `Recommender` would serve them."""
        model = self.recommender

        def answer(rows: slice) -> tuple[TopK, TopK]:
            times = fold.queries.time[rows]
            states = _states(model.history, fold.queries.user[rows], times)
            found = model.retrieve(states, times, max(k, model.n_retrieve))
            return TopK(*model.order(states, times, found, k)), TopK(found.rows[:, :k], found.scores[:, :k])

        return answer


def _states(history: History, users: Ints, times: Ints) -> UserState:
    return history.users_at(users, times, history.contexts_at(users, times))
