"""Models measured on the same rows: ranking protocols and tables of labels."""

from typing import Literal

from pydantic import Field, JsonValue, model_validator

from llmrec.evaluation.records.estimates import Comparison, Estimate, Point, ResultRecord

InformationSet = Literal["point_in_time", "transductive"]
#: `oracle`: knows how the corpus was made; no rival, but the height of the ceiling.
ModelKind = Literal["ours", "baseline", "control", "oracle"]


class CalibrationBin(ResultRecord):
    """Rows whose predicted probability lies in one bin."""

    predicted: float = Field(ge=0, le=1, description="mean predicted probability")
    observed: float = Field(ge=0, le=1, description="share of positives")
    n: int = Field(ge=1)


class Sensitivity(ResultRecord):
    """What another setting gives: on validation, which chooses, and on the test, which does not."""

    settings: dict[str, JsonValue]
    validation: float
    test: float


class ModelResult(ResultRecord):
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
    sensitivity: list[Sensitivity] = Field([], description="the primary metric at each setting that was tried")
    calibration: list[CalibrationBin] = []

    @property
    def title(self) -> str:
        return self.label or self.name


class Slice(ResultRecord):
    """Part of the queries: `by` "history length", `level` "0"; the metrics of each model there."""

    by: str
    level: str
    n: int = Field(ge=0, description="queries in the slice")
    models: dict[str, dict[str, Estimate]] = Field({}, description="model name -> metric -> estimate")
    comparisons: list[Comparison] = []
    interaction: Comparison | None = Field(
        None, description="how much more the text is worth here than in the rest of the queries: a difference of "
        "differences; better: more, worse: less"
    )  # fmt: skip


class ResultTable(ResultRecord):
    """Models measured on the same rows under one information set, and their paired comparisons."""

    name: str
    information_set: InformationSet
    description: str = Field(description="in words: what is a query or row, what may be seen, how it was chosen")
    models: list[ModelResult] = []
    comparisons: list[Comparison] = []
    slices: list[Slice] = []

    @model_validator(mode="after")
    def _names_are_known(self) -> "ResultTable":
        names = [m.name for m in self.models]
        if doubled := sorted({n for n in names if names.count(n) > 1}):
            raise ValueError(f"table {self.name!r}: models named twice: {doubled}")
        compared = {n for c in self.comparisons for n in (c.model, c.against)}
        if unknown := sorted((compared | {n for s in self.slices for n in s.models}) - set(names)):
            raise ValueError(f"table {self.name!r}: {unknown} are compared or sliced, but not among its models {names}")
        return self

    def model(self, name: str) -> ModelResult | None:
        return next((m for m in self.models if m.name == name), None)

    def title(self, name: str) -> str:
        """What readers see of the model `name`."""
        model = self.model(name)
        return model.title if model else name

    def value(self, name: str, metric: str) -> float | None:
        """The model's figure; None where it was not measured."""
        model = self.model(name)
        return model.metrics[metric].value if model and metric in model.metrics else None


class Protocol(ResultTable):
    """A ranking protocol: each query asks for a list of items, over the whole catalogue."""

    history: str = Field("", description="in words: whether validation rows and other users' events are visible")
    refit: str = Field("", description="in words: what was fitted on what, and when again")
    candidates: str = Field("", description="in words: which items may be recommended")
    n_queries: int = Field(ge=0)
    n_users: int | None = Field(None, ge=0)
    n_items: int | None = Field(None, ge=0, description="items that could be recommended")
    n_ranked: int | None = Field(None, ge=0, description="items that retrieval hands to our rankers, for each query")
    n_missed: int | None = Field(None, ge=0, description="targets outside the candidates: counted as missed")
    t1: int | None = None
    t2: int | None = None


class LabelTable(ResultTable):
    """Rows with a label that models predict: `click`, `like` (probabilities), `stars`; `outcome`: the one it names."""

    label: Literal["click", "like", "stars", "outcome"]
    n_rows: int = Field(ge=0)
    n_users: int | None = Field(None, ge=0)
    positive_share: float | None = Field(None, ge=0, le=1)
    threshold: float | None = Field(None, description="of accuracy, precision, recall and F1")
