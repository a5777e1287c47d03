"""One set of trees that says what a larger ranker says."""

from typing import Any, Literal

import numpy as np
from pydantic import Field, SerializeAsAny, field_validator

from llmrec.config.models import CHOSEN, ModelConfig, clicks_alone, model_config
from llmrec.features.dataset.rows import Examples
from llmrec.models.base import ModelContext, ModelInfo, Ranker
from llmrec.models.boosting import grow
from llmrec.models.files.store import make_model
from llmrec.models.rankers.trees.boosted import BoostedRanker, BoostedRankerConfig


class DistilledRankerConfig(BoostedRankerConfig):
    name: Literal["distilled"] = "distilled"  # type: ignore[assignment]
    leaves: int = Field(31, ge=2)
    teacher: SerializeAsAny[ModelConfig] = Field(
        default_factory=lambda: model_config("ranker", "ensemble"), description="a ranker: a name, or name: settings"
    )
    teacher_chosen: dict[str, Any] = Field(
        default_factory=dict, description="settings of the teacher", json_schema_extra=CHOSEN
    )
    fidelity: float | None = Field(
        None,
        description="share of the variance of the teacher's logits on held-out rows that the trees tell",
        json_schema_extra=CHOSEN,
    )

    @field_validator("teacher", mode="before")
    @classmethod
    def _by_name(cls, value: Any) -> Any:
        teacher = model_config("ranker", value)
        if teacher.name == cls.model_fields["name"].default:
            raise ValueError("a ranker that learns from clicks itself")
        clicks_alone([teacher])
        return teacher


class DistilledRanker(BoostedRanker):
    """Squared error against the teacher's logits (Ba & Caruana, NIPS 2014), which is thrown away."""

    Config = DistilledRankerConfig
    INFO = ModelInfo("Distilled", "trees that learn a teacher's logits, by default an ensemble's", "features",
                     "Ba & Caruana, NIPS 2014", output="probability")  # fmt: skip

    @classmethod
    def parts(cls, config: Any) -> tuple[ModelConfig, ...]:
        return (config.teacher,)

    def fit(self, rows: Examples, held_out: Examples | None, seed: int) -> dict[str, Any]:
        teacher = _teacher(self.config, self.context)
        chosen = teacher.fit(rows, held_out, seed)
        held = None if held_out is None or not len(held_out) else (self.read(held_out), teacher.logits(held_out), None)
        self._trees = grow(
            self.read(rows), teacher.logits(rows), objective="regression", rounds=self.config.rounds, seed=seed,
            held_out=held, num_leaves=self.config.leaves, learning_rate=self.config.learning_rate,
        )  # fmt: skip
        if held is None or held_out is None:
            return {}
        rounds = self._trees.best_iteration or self.config.rounds
        return {"rounds": rounds, "teacher_chosen": chosen, "fidelity": _told(held[1], self.logits(held_out))}

    def reads_columns(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys((*super().reads_columns(), *_teacher(self.config, self.context).reads_columns())))


def _teacher(config: Any, context: ModelContext) -> Ranker:
    made: Ranker = make_model("ranker", config.teacher.model_copy(update=config.teacher_chosen), context)
    return made


def _told(teacher: Any, student: Any) -> float:
    """1 − the residual's variance over the teacher's; 0 where the teacher says one thing of all."""
    spread = float(np.var(teacher))
    return 1 - float(np.var(teacher - student)) / spread if spread else 0.0
