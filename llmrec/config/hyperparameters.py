"""Section `hyperparameters`: which settings of the models are searched, where, and at what cost."""

from collections.abc import Mapping
from typing import Any

from pydantic import Field, model_validator

from llmrec.config.base import Section
from llmrec.config.models import model_config
from llmrec.config.training import TrainingConfig
from llmrec.names import check_names

_SECOND = ("ranker", "blender", "calibrator")


class Space(Section):
    """Values of one setting: `choose` some, or from `least` to `most`."""

    choose: tuple[Any, ...] | None = Field(None, min_length=1, description="any of these values")
    least: float | None = None
    most: float | None = None
    log: bool = Field(False, description="even on a logarithmic scale")
    integer: bool = Field(False, description="whole numbers alone")

    @model_validator(mode="after")
    def _one_of_both(self) -> "Space":
        bounds = (self.least, self.most)
        if (self.choose is None) == (None in bounds) or (self.choose is not None and bounds != (None, None)):
            raise ValueError("either `choose: [values]`, or both `least` and `most`")
        if self.least is not None and self.most is not None and not self.least < self.most:
            raise ValueError(f"`least` below `most`, found {self.least} and {self.most}")
        if self.log and not (self.least or 0) > 0:
            raise ValueError(f"`least` above 0 for a logarithmic scale, found {self.least}")
        return self


class HyperparametersConfig(Section):
    """What `jobs.search` tries. Validation judges; the test period is not looked at."""

    trials: int = Field(20, ge=1, description="settings tried, the defaults first")
    seconds: float | None = Field(None, gt=0, description="no trial is begun later; unset: as long as trials take")
    concurrent: int | None = Field(
        None, ge=1, description="trials at once, a CPU each; unset: as many as there are CPUs"
    )
    prune: bool = Field(True, description="end trials whose first network is below the median of others at its epoch")
    space: Mapping[str, Space] = Field({}, description="MODEL.SETTING -> values; MODEL: a retriever's name, or ranker, "
                                       "blender, calibrator")  # fmt: skip


def ends(space: Space) -> tuple[Any, ...]:
    """The values that must all be valid for the space to be."""
    if space.choose is not None:
        return space.choose
    return tuple(round(v) if space.integer else v for v in (space.least or 0.0, space.most or 0.0))


def with_settings(training: TrainingConfig, values: Mapping[str, Any]) -> TrainingConfig:
    """With other settings, by MODEL.SETTING. Raises ValueError for a model or a setting that there is not."""
    retrievers = {c.name: c for c in training.retrievers}
    changed: dict[str, dict[str, Any]] = {}
    for key, value in values.items():
        model, _, setting = key.partition(".")
        check_names("model in hyperparameters.space", [model], [*retrievers, *_SECOND])
        changed.setdefault(model, {})[setting] = value
    made = {
        model: model_config(
            "retriever" if model in retrievers else model,  # type: ignore[arg-type]
            (retrievers[model] if model in retrievers else getattr(training, model)).model_dump() | settings,
        )
        for model, settings in changed.items()
    }
    second = {model: c for model, c in made.items() if model in _SECOND and model not in retrievers}
    return training.model_copy(
        update={**second, "retrievers": tuple(made.get(name, c) for name, c in retrievers.items())}
    )


def check_space(training: TrainingConfig, section: HyperparametersConfig) -> None:
    """Raises ValueError for a space whose values no model takes."""
    for key, space in section.space.items():
        for value in ends(space):
            with_settings(training, {key: value})
