"""The schema of `results.json`: everything an evaluation found, and nothing that it did not.

The report, the model card and `jobs.compare` read this alone. Whatever a quick run does not measure stays absent
(`None` or an empty list); a reader shows only what is there. Times are int64 milliseconds UTC.
"""

from collections.abc import Iterable
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, model_validator

SCHEMA_VERSION: Final = 1

InformationSet = Literal["point_in_time", "transductive"]
ModelKind = Literal["ours", "baseline", "control", "ablation"]
Verdict = Literal["better", "worse", "cannot tell"]
#: Fusions that learn how much each feature family counts; `concat` and `mean` do not.
WeighingFusion = Literal["weighted_sum", "gated", "attention"]

_LOWER_IS_BETTER = ("rmse", "mae", "log_loss", "ece", "gini", "loss", "brier")


def lower_is_better(metric: str) -> bool:
    """Whether a smaller value of `metric` (such as `rmse`, or `gini@10`) is the better one."""
    return metric.split("@")[0] in _LOWER_IS_BETTER


class Record(BaseModel):
    """What every part shares: unknown keys are errors, and so are NaN and infinity, which JSON cannot hold."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class Estimate(Record):
    """A figure with its confidence interval (of the run's `confidence`), if one was computed."""

    value: float
    low: float | None = None
    high: float | None = None
    n: int | None = Field(None, ge=0, description="independent units behind it: users, or rows where there are none")
    se: float | None = Field(None, ge=0, description="standard error")

    @model_validator(mode="after")
    def _ordered(self) -> "Estimate":
        if (self.low is None) != (self.high is None):
            raise ValueError(f"interval [{self.low}, {self.high}] has one end; expected both or neither")
        if self.low is not None and self.high is not None and self.low > self.high:
            raise ValueError(f"interval [{self.low}, {self.high}] runs backwards")
        return self


class Comparison(Record):
    """Paired: `difference` = model - against over the same users; `ratio` = difference / against (0.05 is +5 %)."""

    model: str
    against: str
    metric: str
    difference: Estimate
    ratio: Estimate | None = None
    p_value: float | None = Field(None, ge=0, le=1)
    p_adjusted: float | None = Field(None, ge=0, le=1, description="corrected for `n_comparisons`")
    n_comparisons: int = Field(1, ge=1)
    smallest_detectable: float | None = Field(
        None, ge=0, description="true difference that this test finds with 80 % power"
    )
    verdict: Verdict

    @model_validator(mode="after")
    def _verdict_follows_the_interval(self) -> "Comparison":
        if self.verdict == "cannot tell":
            return self
        low, high = self.difference.low, self.difference.high
        grows = (self.verdict == "better") != lower_is_better(self.metric)
        if low is None or high is None or not (low > 0 if grows else high < 0):
            raise ValueError(
                f"{self.model} against {self.against} on {self.metric}: verdict {self.verdict!r}, but the interval of "
                f"the difference is [{low}, {high}]; expected one that excludes zero on that side, or 'cannot tell'"
            )
        return self


class Point(Record):
    """One point of a curve: recall at cutoff x, a loss after epoch x."""

    x: float
    y: float
    low: float | None = None
    high: float | None = None


class CalibrationBin(Record):
    """Rows whose predicted probability lies in one bin."""

    predicted: float = Field(ge=0, le=1, description="mean predicted probability")
    observed: float = Field(ge=0, le=1, description="share of positives")
    n: int = Field(ge=1)
    low: float | None = None
    high: float | None = None


class ModelResult(Record):
    """One model in one table."""

    name: str
    kind: ModelKind
    label: str = Field("", description="what readers see; `name` where empty")
    description: str = ""
    settings: dict[str, JsonValue] = Field({}, description="as chosen by tuning")
    trials: int | None = Field(None, ge=0, description="settings tried on validation; None: not tuned")
    fallback: str = Field("", description="what answers for users without history")
    seeds: int | None = Field(None, ge=1)
    fit_seconds: float | None = Field(None, ge=0)
    metrics: dict[str, Estimate] = Field({}, description="by name, `ndcg@10`, `auc`, `coverage@10`")
    recall_over_k: list[Point] = []
    calibration: list[CalibrationBin] = []

    @property
    def title(self) -> str:
        return self.label or self.name


class Slice(Record):
    """Part of the queries: `by` "history length", `level` "0"; the metrics of each model there."""

    by: str
    level: str
    n: int = Field(ge=0, description="queries in the slice")
    models: dict[str, dict[str, Estimate]] = Field({}, description="model name -> metric -> estimate")
    comparisons: list[Comparison] = []


class Table(Record):
    """Models measured on the same rows under one information set, and their paired comparisons."""

    name: str
    information_set: InformationSet
    description: str = Field(description="in words: what is a query or row, what may be seen, how it was chosen")
    models: list[ModelResult] = []
    comparisons: list[Comparison] = []
    slices: list[Slice] = []

    @model_validator(mode="after")
    def _names_are_known(self) -> "Table":
        names = [m.name for m in self.models]
        if doubled := sorted({n for n in names if names.count(n) > 1}):
            raise ValueError(f"table {self.name!r}: models named twice: {doubled}")
        compared = {n for c in self.comparisons for n in (c.model, c.against)}
        if unknown := sorted((compared | {n for s in self.slices for n in s.models}) - set(names)):
            raise ValueError(f"table {self.name!r}: {unknown} are compared or sliced, but not among its models {names}")
        return self

    def model(self, name: str) -> ModelResult | None:
        return next((m for m in self.models if m.name == name), None)


class Protocol(Table):
    """A ranking protocol: each query asks for a list of items, over the whole catalogue."""

    history: str = Field("", description="in words: whether validation rows and other users' events are visible")
    refit: str = Field("", description="in words: what was fitted on what, and when again")
    candidates: str = Field("", description="in words: which items may be recommended")
    n_queries: int = Field(ge=0)
    n_users: int | None = Field(None, ge=0)
    n_items: int | None = Field(None, ge=0, description="items that could be recommended")
    n_missed: int | None = Field(None, ge=0, description="targets outside the candidates: counted as missed")
    t1: int | None = None
    t2: int | None = None


class LabelTable(Table):
    """Rows with a label that models predict: `click`, `like` (probabilities) or `stars`."""

    label: Literal["click", "like", "stars"]
    n_rows: int = Field(ge=0)
    n_users: int | None = Field(None, ge=0)
    positive_share: float | None = Field(None, ge=0, le=1)
    threshold: float | None = Field(None, description="of accuracy, precision, recall and F1")


class Run(Record):
    """Which run this was and how to do it again."""

    name: str
    id: str
    config: dict[str, JsonValue] = {}
    code_version: str = ""
    commit: str = ""
    seeds: list[int] = []
    size: str = ""
    machine: str = ""
    packages: dict[str, str] = {}
    created: int | None = Field(None, description="ms UTC")
    seconds: float | None = Field(None, ge=0)
    stage_seconds: dict[str, float] = {}
    reproduce: str = Field("", description="the command")
    corpus_id: str = Field("", description="artifact id of the corpus: only runs on one corpus are compared")
    bundle_id: str = ""
    confidence: float = Field(0.95, gt=0, lt=1)
    bootstrap: int | None = Field(None, ge=0, description="resamples behind each interval")
    primary_metric: str = ""


class Portrait(Record):
    """The corpus as it was read. Shares are in [0, 1]."""

    name: str
    n_reviews: int = Field(ge=0)
    n_users: int = Field(ge=0)
    n_items: int = Field(ge=0)
    first: int | None = None
    last: int | None = None
    languages: dict[str, float] = Field({}, description="share of reviews by language code")
    stars: dict[str, int] = Field({}, description="reviews by stars")
    tied_share: float | None = Field(None, ge=0, le=1, description="events that share user and timestamp with another")
    tied_users: int | None = Field(None, ge=0, description="users whose last events tie in time")
    duplicates: int | None = Field(None, ge=0)
    sparsity: float | None = Field(None, ge=0, le=1, description="share of user x item pairs without a review")
    empty_texts: int | None = Field(None, ge=0)
    median_tokens: float | None = Field(None, ge=0)
    median_per_user: float | None = Field(None, ge=0)
    median_per_item: float | None = Field(None, ge=0)
    quarantined: dict[str, int] | None = Field(None, description="rows by reason; empty: none was")
    unknown_token_share: float | None = Field(None, ge=0, le=1)
    encoder: str = ""
    encoder_seconds_per_1000: float | None = Field(None, ge=0, description="seconds per 1,000 reviews, uncached")
    notes: list[str] = []


class Headline(Record):
    """The answer to the one question: what was the text worth?"""

    protocol: str
    comparison: Comparison = Field(description="text against no_text on the primary metric, fixed before the run")
    encoder_seconds_per_1000: float | None = Field(None, ge=0)


class FamilyEffect(Record):
    """One feature family: the metric with it alone, and what leaving it out costs (full - without)."""

    family: str = Field(description="its name, or the pattern of a group of families, such as `text*`")
    members: list[str] = Field([], description="the families of a group; empty: a single family")
    n_columns: int | None = Field(None, ge=0)
    alone: Estimate | None = None
    contribution: Estimate | None = None
    p_adjusted: float | None = Field(None, ge=0, le=1)


class Interaction(Record):
    """What two families add together beyond what each adds alone, to all others: v(R+A+B) − v(R+A) − v(R+B) + v(R).

    Where higher is better, positive: they need each other; negative: either makes up for the other.
    """

    first: str
    second: str
    effect: Estimate


class SelectionCurve(Record):
    """Quality (y) against dimensions kept (x), the best first by `method`."""

    method: str
    points: list[Point]


class FamilyStudy(Record):
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


class FamilyWeight(Record):
    """The share of one feature family in its tower: mean over the clicks, and the middle 90 % of them.

    The quantiles say how much the share differs between clicks, not how sure the mean is. They are right to 0.00001.
    """

    side: Literal["user", "item"] = Field(description="the tower")
    family: str
    mean: float = Field(ge=0, le=1)
    q05: float = Field(ge=0, le=1, description="5 % of the clicks have a smaller share")
    q95: float = Field(ge=0, le=1, description="5 % of the clicks have a larger share")


class FusionWeights(Record):
    """How a variant's two-tower model weighs its feature families; each click's: `family_weights/VARIANT.parquet`."""

    variant: str
    fusion: WeighingFusion
    n_clicks: int = Field(ge=1, description="clicks of the test")
    families: list[FamilyWeight] = Field(description="user tower first; the means of a tower sum to 1")


class Control(Record):
    """A run with the text withheld or control_embeddings; `comparison` sets the true text against it."""

    name: str
    description: str
    table: str
    comparison: Comparison


class LeakGap(Record):
    """The mistake that others report: the same model after the target review was put back."""

    table: str
    model: str
    metric: str
    put_back: Literal["user side", "item side", "both"]
    clean: Estimate
    leaked: Estimate
    gap: Estimate | None = Field(None, description="leaked - clean, paired")
    existence_leak: bool = Field(False, description="only positives have a review: the leak is that one exists")


class TrainingCurve(Record):
    """A loss or metric after each epoch; the report draws all curves of one model and metric together."""

    model: str
    variant: str = ""
    metric: str
    split: Literal["train", "validation"] = "validation"
    points: list[Point]


class Results(Record):
    """One evaluation, whole."""

    schema_version: Literal[1] = SCHEMA_VERSION
    run: Run
    portrait: Portrait
    headline: Headline | None = None
    protocols: list[Protocol] = []
    labels: list[LabelTable] = []
    families: list[FamilyStudy] = []
    family_weights: list[FusionWeights] = []
    controls: list[Control] = []
    leak_gaps: list[LeakGap] = []
    training_curves: list[TrainingCurve] = []
    notes: list[str] = []
    warnings: list[str] = []

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

    def tables(self) -> Iterable[Table]:
        """All tables, protocols first."""
        return [*self.protocols, *self.labels]

    def table(self, name: str) -> Table | None:
        return next((t for t in self.tables() if t.name == name), None)

    def to_json(self) -> str:
        """The text of `results.json`."""
        return self.model_dump_json(indent=2) + "\n"
