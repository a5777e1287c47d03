"""Section `training`: which models are fitted, and how Ray Train runs them."""

from typing import Any

from pydantic import Field, SerializeAsAny, field_validator, model_validator

from llmrec.catalogue import MODELS
from llmrec.config.models import ModelConfig, model_config, model_configs, named_settings, refuse_chosen
from llmrec.config.workers import WorkersConfig
from llmrec.names import check_names


class TrainingConfig(WorkersConfig):
    """The models of a bundle, by name with their settings, and the workers that fit them."""

    retrievers: tuple[SerializeAsAny[ModelConfig], ...] = Field(
        default_factory=lambda: model_configs("retriever", ["two_tower"]), min_length=1,
        description="each brings candidates, and their union is ranked: names, or name: settings",
    )  # fmt: skip
    ranker: SerializeAsAny[ModelConfig] = Field(
        default_factory=lambda: model_config("ranker", "listwise"), description="the second stage, fitted on `click`"
    )
    blender: SerializeAsAny[ModelConfig] = Field(
        default_factory=lambda: model_config("blender", "conditional_logit"),
        description="how retrieval scores, the ranker and popularity become one score",
    )
    calibrator: SerializeAsAny[ModelConfig] = Field(
        default_factory=lambda: model_config("calibrator", "none"),
        description="how the ranker's logit becomes the probability of a click that is served; fitted on validation",
    )
    raters: tuple[SerializeAsAny[ModelConfig], ...] = Field(
        (), description="predictions of stars and likes, kept in the bundle for `Recommender.rate`"
    )

    @model_validator(mode="before")
    @classmethod
    def _by_name(cls, section: Any) -> Any:
        """`training.two_tower: {epochs: 3}` are settings of a retriever that is named already, or by default."""
        own = {k: v for k, v in section.items() if k in MODELS["retriever"]} if isinstance(section, dict) else {}
        if not own:
            return section
        named = {str(s.pop("name")): s for s in named_settings("retriever", section.get("retrievers", ["two_tower"]))}
        check_names("retriever among training.retrievers", own, named)
        more = {str(s.pop("name")): s for s in named_settings("retriever", own)}
        settings = {name: {**of, **more.get(name, {})} for name, of in named.items()}
        return {k: v for k, v in section.items() if k not in own} | {"retrievers": settings}

    @field_validator("retrievers", "ranker", "blender", "calibrator", "raters")
    @classmethod
    def _as_before_the_fit(cls, value: Any) -> Any:
        for config in value if isinstance(value, tuple) else (value,):
            refuse_chosen(config)
        return value

    @field_validator("retrievers", "raters", mode="before")
    @classmethod
    def _some(cls, value: Any, info: Any) -> Any:
        return model_configs("retriever" if info.field_name == "retrievers" else "rater", value)

    @field_validator("ranker", "blender", "calibrator", mode="before")
    @classmethod
    def _one(cls, value: Any, info: Any) -> Any:
        default = {"ranker": "listwise", "blender": "conditional_logit", "calibrator": "none"}[info.field_name]
        return model_config(info.field_name, value, default=default)
