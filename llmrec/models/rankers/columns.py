"""Rankers that read dense features alone, or some families of them."""

from fnmatch import fnmatchcase
from typing import Any

import numpy as np
from pydantic import Field, field_validator

from llmrec.config.models import ModelConfig
from llmrec.features.dataset.rows import Examples
from llmrec.models.base import Floats, Ints, ModelContext, Ranker
from llmrec.names import EVENT_PREFIX, FAMILIES, check_patterns
from llmrec.schema import VECTOR_PREFIX


class ColumnsConfig(ModelConfig):
    families: tuple[str, ...] = Field(("*",), description="feature families that it reads, as shell patterns: text*")

    @field_validator("families")
    @classmethod
    def _known(cls, families: tuple[str, ...]) -> tuple[str, ...]:
        check_patterns(
            "feature family", (f for f in families if not f.startswith((VECTOR_PREFIX, EVENT_PREFIX))), FAMILIES
        )
        return families


class ColumnsRanker(Ranker):
    """`places`: the columns of its families among the dense features; a variant may have none of them."""

    def __init__(self, config: Any, context: ModelContext) -> None:
        super().__init__(config, context)
        read = [any(fnmatchcase(column.family, f) for f in config.families) for column in context.dense]
        self.places: Ints = np.flatnonzero(read)

    def reads_columns(self) -> tuple[str, ...]:
        return tuple(self.context.dense[place].name for place in self.places)

    def families(self) -> list[str]:
        """Of each column that `read` gives."""
        return [self.context.dense[place].family for place in self.places] or ["none"]

    def read(self, rows: Examples) -> Floats:
        """(N, n_columns), at least one: without any, the same number for all rows, so that the model is a constant."""
        return rows.dense[:, self.places] if len(self.places) else np.zeros((len(rows), 1), np.float32)
