"""Popularity as of the query's time: the baseline that an honest clock makes hard to beat."""

from dataclasses import dataclass
from typing import ClassVar

from llmrec.evaluation.baselines.base import Baseline, Block
from llmrec.evaluation.data.folds import Fold
from llmrec.evaluation.data.interactions import Scores


@dataclass
class Popularity(Baseline):
    """Number of events before t; with `decay_days` an event of age a counts exp(-a / decay_days)."""

    decay_days: float | None = None
    label: ClassVar[str] = "Popularity"
    description: ClassVar[str] = "number of events before the query's time, each weighted by exp(-age / decay)"
    uses_history: ClassVar[bool] = False

    def fit(self, fold: Fold) -> None:
        """Nothing is learned: counts are read as of each query."""

    def scores(self, block: Block) -> Scores:
        return block.as_of.popularity(block.times, self.decay_days)
