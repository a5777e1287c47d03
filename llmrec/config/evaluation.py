"""Section `evaluation`: protocols, models, intervals."""

from typing import Literal

from pydantic import Field

from llmrec.config.base import Section


class EvaluationConfig(Section):
    """What is measured, fixed before the run."""

    size: Literal["quick", "full"] = "quick"
    protocols: tuple[Literal["temporal", "frozen", "rolling_origins", "leave_last_out", "random"], ...] = (
        "temporal",
        "leave_last_out",
    )
    primary_metric: str = "ndcg@10"
    cutoffs: tuple[int, ...] = (10, 50)
    retrieve: int = Field(200, ge=1, description="candidates the retriever hands to the ranker")
    seeds: int = Field(1, ge=1)
    bootstrap: int = Field(1000, ge=0)
    confidence: float = Field(0.95, gt=0, lt=1)
