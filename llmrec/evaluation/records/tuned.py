"""What tuning the encoder was worth by itself: ranking by text alone, as it came and tuned."""

from typing import Literal

from pydantic import Field

from llmrec.evaluation.records.estimates import Comparison, Estimate, Point, ResultRecord

#: `every`: likes from T2 on; `new`: those of items that nobody reviewed before, ranked among such.
Questions = Literal["every", "new"]


class TunedEncoder(ResultRecord):
    """One encoder, and how well it ranks by text alone."""

    name: str
    pairs: int | None = Field(None, ge=0, description="that it learned from; None: the encoder as it came")
    steps: int = Field(0, ge=0, description="that validation chose")
    ndcg: dict[Questions, Estimate] = Field({}, description="NDCG@10")


class TuningStudy(ResultRecord):
    """The encoder as it came, tuned on few pairs, and as this run has it, asked the same questions."""

    learned: str = Field(description="objectives with their weights, and which weights were tuned")
    n_queries: dict[Questions, int]
    encoders: list[TunedEncoder]
    comparisons: dict[Questions, list[Comparison]] = Field({}, description="each against the encoder as it came")
    losses: list[Point] = Field([], description="by step")
    validation: list[Point] = Field([], description="NDCG@10 of the queries before T1 that choose the step, by step")
