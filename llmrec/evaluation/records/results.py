"""`results.json`, whole: everything an evaluation found, and nothing that it did not.

The report, the model card and `jobs.compare` read this alone. Whatever a quick run does not measure stays absent
(`None` or an empty list); a reader shows only what is there. Times are int64 milliseconds UTC.
"""

from collections.abc import Iterable
from typing import Literal

from pydantic import Field, model_validator

from llmrec.evaluation.records.estimates import Comparison, Estimate, Point, ResultRecord
from llmrec.evaluation.records.families import FamilyStudy, FusionWeights
from llmrec.evaluation.records.run import Portrait, RunFacts
from llmrec.evaluation.records.tables import LabelTable, Protocol, ResultTable
from llmrec.evaluation.records.tuned import TuningStudy

#: The file that holds them.
RESULTS = "results.json"


class Effort(ResultRecord):
    """What it takes to find a gain of `detect` (a share) four times in five."""

    detect: float = Field(gt=0)
    queries: int = Field(ge=0)
    origins: int = Field(ge=1, description="test periods as long as this one")
    seeds: int = Field(ge=1)
    measured_seeds: int = Field(ge=1, description="of this run; 1: nothing is known of training noise")


class Headline(ResultRecord):
    """The answer to the one question: what was the text worth?"""

    protocol: str
    comparison: Comparison = Field(description="text against no_text on the primary metric, fixed before the run")
    effort: Effort | None = None
    encoder_seconds_per_1000: float | None = Field(None, ge=0)


class ControlResult(ResultRecord):
    """A run with the text withheld or replaced; `comparison` sets the true text against it."""

    name: str
    description: str
    table: str
    comparison: Comparison


class LeakGap(ResultRecord):
    """The mistake that others report: the same model after the target review was put back."""

    table: str
    model: str
    metric: str
    put_back: Literal["user side", "item side", "both"]
    clean: Estimate
    leaked: Estimate
    gap: Estimate | None = Field(None, description="leaked - clean, paired")
    existence_leak: bool = Field(False, description="only positives have a review: the leak is that one exists")


class TrainingCurve(ResultRecord):
    """A loss or metric after each epoch; the report draws all curves of one model and metric together."""

    model: str
    variant: str = ""
    metric: str
    split: Literal["train", "validation"] = "validation"
    points: list[Point]


class Results(ResultRecord):
    """One evaluation, whole."""

    schema_version: Literal[1] = 1
    run: RunFacts
    portrait: Portrait
    headline: Headline | None = None
    protocols: list[Protocol] = []
    labels: list[LabelTable] = []
    families: list[FamilyStudy] = []
    family_weights: list[FusionWeights] = []
    controls: list[ControlResult] = []
    leak_gaps: list[LeakGap] = []
    training_curves: list[TrainingCurve] = []
    tuning: TuningStudy | None = None

    @model_validator(mode="after")
    def _parts_fit(self) -> "Results":
        names = [t.name for t in self.tables()]
        if doubled := sorted({n for n in names if names.count(n) > 1}):
            raise ValueError(f"tables named twice: {doubled}")
        used = {s.table for s in self.families} | {c.table for c in self.controls} | {g.table for g in self.leak_gaps}
        if self.headline:
            used.add(self.headline.protocol)
        if unknown := sorted(used - set(names)):
            raise ValueError(f"{unknown} are referred to, but not among the tables {names}")
        return self

    def tables(self) -> Iterable[ResultTable]:
        """All tables, protocols first."""
        return [*self.protocols, *self.labels]

    def table(self, name: str) -> ResultTable | None:
        """The table `name`; whatever part of the results names one, it is there."""
        return next((t for t in self.tables() if t.name == name), None)

    def to_json(self) -> str:
        """The text of `results.json`."""
        return self.model_dump_json(indent=2) + "\n"
