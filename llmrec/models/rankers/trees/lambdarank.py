"""LambdaMART: boosted trees that order each click above its negatives."""

from typing import Any, Literal

import numpy as np
from pydantic import Field

from llmrec.config.models import CHOSEN
from llmrec.features.dataset.rows import Examples
from llmrec.models.attribution import Doubles
from llmrec.models.base import Floats, Ints, ModelInfo
from llmrec.models.boosting import grow
from llmrec.models.linear import platt
from llmrec.models.rankers.trees.boosted import BoostedRanker, BoostedRankerConfig


class LambdaRankConfig(BoostedRankerConfig):
    name: Literal["lambdarank"] = "lambdarank"  # type: ignore[assignment]
    slope: float = Field(1.0, gt=0, description="of the logit over the trees' score", json_schema_extra=CHOSEN)
    shift: float = Field(0.0, description="of the logit", json_schema_extra=CHOSEN)


class LambdaRank(BoostedRanker):
    """Its scores have no scale of their own: Platt scaling on the held-out rows makes logits of them."""

    Config = LambdaRankConfig
    INFO = ModelInfo("LambdaRank", "boosted trees that order each click above its negatives; Platt scaling", "features",
                     "Burges, MSR-TR-2010-82; Ke et al., NeurIPS 2017", output="probability")  # fmt: skip

    def fit(self, rows: Examples, held_out: Examples | None, seed: int) -> dict[str, Any]:
        c, held = self.config, None
        order, sizes = by_query(rows)
        if held_out is not None:
            its_order, its_sizes = by_query(held_out)
            held = self.read(held_out)[its_order], held_out.click[its_order], its_sizes
        self._trees = grow(
            self.read(rows)[order], rows.click[order], objective="lambdarank", rounds=c.rounds, seed=seed, group=sizes,
            held_out=held, num_leaves=c.leaves, learning_rate=c.learning_rate, label_gain=[0, 1],
        )  # fmt: skip
        slope, shift = (c.slope, c.shift) if held_out is None else platt(super().logits(held_out), held_out.click)
        self.config = c.model_copy(update={"slope": slope, "shift": shift})
        return {"rounds": self._trees.best_iteration or c.rounds, "slope": slope, "shift": shift}

    def logits(self, rows: Examples) -> Floats:
        return np.asarray(self.config.slope * super().logits(rows) + self.config.shift, np.float32)

    def attributions(self, rows: Examples) -> dict[str, Doubles]:
        return {name: self.config.slope * values for name, values in super().attributions(rows).items()}


def by_query(rows: Examples) -> tuple[Ints, Ints]:
    """Order (N,) that puts the rows of a click together, and the sizes of the clicks.

    Where no click has a second row (reviews with the label `like`), the rows of a user stand together.
    """
    keys = rows.query if len(np.unique(rows.query)) < len(rows) else rows.user_idx
    _, sizes = np.unique(keys, return_counts=True)
    return np.argsort(keys, kind="stable"), sizes
