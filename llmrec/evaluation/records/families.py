"""What each feature family is worth, and how learned fusions weigh it."""

from typing import Literal

from pydantic import Field

from llmrec.evaluation.records.estimates import Estimate, Point, ResultRecord

#: Fusions that learn how much each feature family counts; `concat` and `mean` do not.
WeighingFusion = Literal["weighted_sum", "gated", "attention"]


class FamilyEffect(ResultRecord):
    """One feature family: the metric with it alone, and what leaving it out costs (full - without)."""

    family: str = Field(description="its name, or the pattern of a group of families, such as `text*`")
    members: list[str] = Field([], description="the families of a group; empty: a single family")
    n_columns: int | None = Field(None, ge=0)
    alone: Estimate | None = None
    contribution: Estimate | None = None
    p_adjusted: float | None = Field(None, ge=0, le=1)


class Interaction(ResultRecord):
    """What two families add together beyond what each adds alone, to all others: v(R+A+B) − v(R+A) − v(R+B) + v(R).

    Where higher is better, positive: they need each other; negative: either makes up for the other.
    """

    first: str
    second: str
    effect: Estimate


class SelectionCurve(ResultRecord):
    """Quality (y) against dimensions kept (x), the best first by `method`."""

    method: str
    points: list[Point]


class FamilyStudy(ResultRecord):
    """Every feature family alone and left out, of one model on one table."""

    table: str
    model: str
    metric: str
    description: str = Field("", description="in words: which model, fitted, chosen and measured on what")
    full: Estimate | None = None
    families: list[FamilyEffect]
    interactions: list[Interaction] = []
    curves: list[SelectionCurve] = []
    budget: int | None = Field(None, ge=1, description="dimensions kept at most, as configured")
    kept_by: str = Field("", description="the method that chose `kept`")
    kept: dict[str, list[str]] = Field({}, description="family -> its columns within the budget")


class FamilyWeight(ResultRecord):
    """The share of one feature family in its tower: mean over the clicks, and the middle 90 % of them.

    The quantiles say how much the share differs between clicks, not how sure the mean is. They are right to 0.00001.
    """

    side: Literal["user", "item"] = Field(description="the tower")
    family: str
    mean: float = Field(ge=0, le=1)
    q05: float = Field(ge=0, le=1, description="5 % of the clicks have a smaller share")
    q95: float = Field(ge=0, le=1, description="5 % of the clicks have a larger share")


class FusionWeights(ResultRecord):
    """How a variant's two-tower model weighs its feature families; each click's: `family_weights/VARIANT.parquet`."""

    variant: str
    fusion: WeighingFusion
    n_clicks: int = Field(ge=1, description="clicks of the test")
    families: list[FamilyWeight] = Field(description="user tower first; the means of a tower sum to 1")
