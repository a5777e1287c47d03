"""Section `evaluation`: protocols, models, intervals."""

from typing import Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator

from llmrec.catalogue import MODELS, model_class
from llmrec.config.base import Section
from llmrec.names import BASELINES, RANKING_METRICS, check_names
from llmrec.variants import CONTROLS

#: What a retriever reads that only a bundle's stages know.
_OURS = ("features", "words")
ProtocolName = Literal["temporal", "frozen", "rolling_origins", "leave_last_out", "random"]


class EvaluationConfig(Section):
    """What is measured, fixed before the run."""

    size: Literal["quick", "full"] = Field("quick", description="full: every baseline, family and slice")
    protocols: tuple[ProtocolName, ...] = Field(("temporal", "leave_last_out"), min_length=1)
    cutoffs: tuple[int, ...] = Field((10, 50), min_length=1)
    primary_metric: str = Field("ndcg@10", description="the one that decides the verdict: NAME@K, K among `cutoffs`")
    second_metric: str = Field(
        default_factory=lambda section: f"log_rank@{section['cutoffs'][-1]}",
        description="judged behind it; unset: the mean log rank, which tells more of the same lists",
    )
    detect: float = Field(
        0.03, gt=0, description="the smallest gain that matters, as a share: less is no difference; the run says how "
        "many queries, origins and seeds it takes to see it"
    )  # fmt: skip
    list_length: int = Field(100, ge=1, description="items kept of each list, in the files and in recall over k")
    retrieve: int = Field(200, ge=1, description="candidates the retriever hands to the ranker")
    baselines: tuple[str, ...] | None = Field(None, description="names to run instead of those of `size`")
    controls: tuple[str, ...] | None = Field(None, description="names to fit instead of those of `size`")
    families: bool = Field(
        default_factory=lambda section: section["size"] == "full",
        description="fit a stand-in on each feature family alone and without it; unset: for size `full`",
    )
    tuning_trials: int = Field(8, ge=1, description="settings tried on validation, for each baseline")
    uncored: bool = Field(
        False, description="leave out test queries for an item that was owed events by the cut of a cored corpus"
    )
    seeds: int = Field(
        default_factory=lambda section: 3 if section["size"] == "full" else 1, ge=1,
        description="fits of our models, averaged within a user; unset: 3 for size `full`, else 1",
    )  # fmt: skip
    bootstrap: int = Field(
        100_000, ge=0, description="resamples of users and items behind comparisons made together; 0: no intervals"
    )
    confidence: float = Field(0.95, gt=0, lt=1)
    threshold: float = Field(0.5, gt=0, lt=1, description="of accuracy, precision, recall and F1")
    origins: tuple[float, ...] = Field(
        (0.6, 0.7, 0.8, 0.9), min_length=2, description="rolling_origins: quantiles of the event times; refits at each"
    )
    random_test_share: float = Field(0.25, gt=0, lt=1, description="random: share of each user's events held out")
    k_core: int = Field(1, ge=1, description="leave_last_out, random: least training events; training rows only")

    @field_validator("baselines", "controls")
    @classmethod
    def _known(cls, names: tuple[str, ...] | None, field: ValidationInfo) -> tuple[str, ...] | None:
        known = BASELINES if field.field_name == "baselines" else CONTROLS
        check_names(str(field.field_name).rstrip("s"), names or (), known)
        if field.field_name == "baselines":
            _refuse_ours(names or ())
        return names

    @field_validator("protocols", "baselines", "controls")
    @classmethod
    def _each_once(cls, names: tuple[str, ...] | None) -> tuple[str, ...] | None:
        if names and len(set(names)) < len(names):
            raise ValueError(f"each name once, found {list(names)}")
        return names

    @field_validator("cutoffs", "origins")
    @classmethod
    def _increasing(cls, values: tuple[float, ...]) -> tuple[float, ...]:
        if list(values) != sorted(set(values)) or values[0] <= 0:
            raise ValueError(f"found {values}, expected increasing numbers above 0")
        return values

    @field_validator("origins")
    @classmethod
    def _quantiles(cls, origins: tuple[float, ...]) -> tuple[float, ...]:
        if origins[-1] >= 1:
            raise ValueError(f"found {origins}, expected quantiles below 1")
        return origins

    @model_validator(mode="after")
    def _primary_is_measured(self) -> "EvaluationConfig":
        known = [f"{name}@{k}" for name in RANKING_METRICS for k in self.cutoffs]
        check_names("metric", [self.primary_metric, self.second_metric], known)
        if self.cutoffs[-1] > self.list_length:
            raise ValueError(f"cutoffs up to {self.cutoffs[-1]} need list_length ≥ that, found {self.list_length}")
        return self


def _refuse_ours(names: tuple[str, ...]) -> None:
    """Raises ValueError for a model that reads a bundle's features: no table has it as a baseline."""
    for name in names:
        if name not in MODELS["ranker"] and model_class("retriever", name).INFO.reads in _OURS:
            raise ValueError(f"{name!r} reads a bundle's features; name it in training.retrievers, and it is evaluated")
