"""Models as those who answer a fold's queries block by block, in this process or on a cluster."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from llmrec.evaluation.data.folds import Fold
from llmrec.evaluation.ranking.block_runner import Columns, deal
from llmrec.evaluation.ranking.topk import TopK, joined

#: Queries of a block at most, however few the items: what is dealt to a cluster, and how often progress is known.
MOST_QUERIES = 500


class RankingModel(Protocol):
    """One fitted model, or two that answer together; it is pickled to go to the workers of a cluster."""

    @property
    def threads(self) -> int:
        """How many blocks one process answers at a time."""
        ...

    def parts(self, fold: Fold) -> Sequence[slice]:
        """The blocks that the queries are answered in. Results may depend on them in the last bit."""
        ...

    def open(self, fold: Fold, k: int) -> Callable[[slice], tuple[TopK, ...]]:
        """Block -> its lists (B, k), by each model."""
        ...


@dataclass(frozen=True)
class Listing:
    """Work for `deal`: the lists of the first model, columns `items` (B, k) int32 and `scores` (B, k) float32."""

    model: RankingModel
    fold: Fold
    k: int

    @property
    def parts(self) -> Sequence[slice]:
        return self.model.parts(self.fold)

    @property
    def threads(self) -> int:
        return self.model.threads

    def open(self) -> Callable[[slice], Columns]:
        answer = self.model.open(self.fold, self.k)

        def columns(rows: slice) -> Columns:
            top = answer(rows)[0]
            return {"items": top.item_rows.astype(np.int32), "scores": top.scores}

        return columns


def lists_of(model: RankingModel, fold: Fold, k: int) -> TopK:
    """The lists (Q, k) of all queries, where nothing else of the answers is wanted."""
    return joined([TopK(c["items"].astype(np.int64), c["scores"]) for c in deal(Listing(model, fold, k))], k)
