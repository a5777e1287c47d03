"""Rankers that read dense features alone, or some families of them."""

from typing import Any

import numpy as np
from pydantic import Field

from llmrec.config.models import ModelConfig
from llmrec.features.dataset.rows import Examples
from llmrec.features.families.columns import chosen, indices
from llmrec.models.base import Floats, Ints, ModelContext, Ranker


class ColumnsConfig(ModelConfig):
    families: tuple[str, ...] = Field(("*",), description="feature families that it reads, as shell patterns: text*")


class ColumnsRanker(Ranker):
    """`places`: the columns of its families among the dense features."""

    def __init__(self, config: Any, context: ModelContext) -> None:
        super().__init__(config, context)
        families = {column.family for column in context.dense}
        self.places: Ints = indices(context.dense, chosen(families, config.families)) if families else np.zeros(0, int)

    def reads_columns(self) -> tuple[str, ...]:
        return tuple(self.context.dense[place].name for place in self.places)

    def read(self, rows: Examples) -> Floats:
        """(N, n_columns)"""
        return rows.dense[:, self.places]
