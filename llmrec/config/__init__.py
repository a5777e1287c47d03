"""The run's configuration: one YAML file, one validated section a stage, overrides `section.key=value`.

`${NAME}` and `${NAME:-default}` in the file are replaced from the environment, so that a file can be shared by
people who keep their data elsewhere.
"""

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import Field, ValidationError, ValidationInfo, field_validator

from llmrec.config.base import Section
from llmrec.config.data.corpus import CorpusConfig, SampleConfig, SplitConfig
from llmrec.config.data.events import own_kinds
from llmrec.config.data.outcomes import check_outcomes
from llmrec.config.evaluation import EvaluationConfig
from llmrec.config.features import FeaturesConfig
from llmrec.config.hyperparameters import HyperparametersConfig, check_space
from llmrec.config.models import ModelConfig
from llmrec.config.serving.refresh import RefreshConfig
from llmrec.config.serving.search import SearchConfig
from llmrec.config.serving.serving import ServingConfig
from llmrec.config.text.encoding import EncoderConfig, EncodingConfig
from llmrec.config.text.reading import ReviewReadingConfig
from llmrec.config.text.tuning import TUNED_POOLINGS, TuningConfig
from llmrec.config.tracking import TrackingConfig
from llmrec.config.training import TrainingConfig
from llmrec.names import EVENT_KINDS, FAMILIES, check_patterns, event_families, nearest
from llmrec.schema import VECTOR_PREFIX

__all__ = [
    "ConfigError", "CorpusConfig", "EncoderConfig", "EncodingConfig", "EvaluationConfig", "FeaturesConfig",
    "HyperparametersConfig", "ModelConfig", "RefreshConfig", "ReviewReadingConfig", "RunConfig", "SampleConfig",
    "SearchConfig", "Section", "ServingConfig", "SplitConfig", "TrackingConfig", "TrainingConfig", "TuningConfig",
    "idle_controls", "load_config",
]  # fmt: skip


class ConfigError(ValueError):
    """A configuration that cannot be used; the message names file, key, what was found and what is allowed."""


class RunConfig(Section):
    """Everything that decides a run."""

    name: str = Field(
        "run", pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$", description="names the run in the registry and reports"
    )
    storage: str = Field("artifacts", description="folder or URI that every artifact lives under")
    seed: int = Field(7, ge=0, lt=2**31)
    corpus: CorpusConfig = CorpusConfig()
    split: SplitConfig = SplitConfig()
    encoding: EncodingConfig = EncodingConfig()
    tuning: TuningConfig = TuningConfig()
    reading: ReviewReadingConfig = ReviewReadingConfig()
    features: FeaturesConfig = FeaturesConfig()
    training: TrainingConfig = Field(default_factory=TrainingConfig)  # names models, whose modules read configurations
    hyperparameters: HyperparametersConfig = HyperparametersConfig()
    evaluation: EvaluationConfig = EvaluationConfig()
    tracking: TrackingConfig = TrackingConfig()
    search: SearchConfig = SearchConfig()
    serving: ServingConfig = ServingConfig()
    refresh: RefreshConfig = RefreshConfig()

    @field_validator("tuning")
    @classmethod
    def _there_is_an_encoder_to_tune(cls, tuning: TuningConfig, earlier: ValidationInfo) -> TuningConfig:
        encoder = earlier.data["encoding"].encoder if "encoding" in earlier.data else EncoderConfig()
        if tuning.objectives and (encoder.backend != "vllm" or encoder.pooling not in TUNED_POOLINGS):
            raise ValueError(
                f"objectives need encoding.encoder.backend `vllm` and a pooling of {', '.join(TUNED_POOLINGS)}: found "
                f"{encoder.backend!r} and {encoder.pooling!r}"
            )
        return tuning

    @field_validator("reading")
    @classmethod
    def _reads_one_encoder(cls, reading: ReviewReadingConfig, earlier: ValidationInfo) -> ReviewReadingConfig:
        by_vectors = reading.reader == "head" or reading.profiles.maker is not None
        if by_vectors and "tuning" in earlier.data and earlier.data["tuning"].refit:
            raise ValueError(
                "reader `head` and profiles are read by one encoder, and tuning.refit makes two: leave one of them out"
            )
        return reading

    @field_validator("evaluation")
    @classmethod
    def _controls_leave_something_out(cls, evaluation: EvaluationConfig, earlier: ValidationInfo) -> EvaluationConfig:
        if not {"tuning", "reading"} <= earlier.data.keys():
            return evaluation  # what is wrong with them is told
        idle = idle_controls(earlier.data["tuning"], earlier.data["reading"])
        for control in evaluation.controls or ():
            if setting := idle.get(control):
                raise ValueError(
                    f"controls: {control} would be the model itself, since {setting} names nothing; set it, or leave "
                    "the control out"
                )
        return evaluation

    @field_validator("features")
    @classmethod
    def _families_exist(cls, features: FeaturesConfig, earlier: ValidationInfo) -> FeaturesConfig:
        vectors = earlier.data["corpus"].item_vectors if "corpus" in earlier.data else ()
        own = [f"{VECTOR_PREFIX}{name}_{of}" for name in vectors for of in ("user", "item", "similarity")]
        corpus = earlier.data.get("corpus")
        own += event_families(sorted({*EVENT_KINDS, *(own_kinds(corpus) if corpus else ())}))
        check_patterns("feature family", (*features.include, *features.exclude), (*FAMILIES, *own))
        return features

    @field_validator("training")
    @classmethod
    def _outcomes_exist(cls, training: TrainingConfig, earlier: ValidationInfo) -> TrainingConfig:
        corpus = earlier.data.get("corpus")
        outcomes = getattr(training.ranker, "outcomes", ())
        check_outcomes(outcomes, own_kinds(corpus) if corpus else ())
        return training

    @field_validator("hyperparameters")
    @classmethod
    def _settings_exist(cls, section: HyperparametersConfig, earlier: ValidationInfo) -> HyperparametersConfig:
        if "training" in earlier.data:
            check_space(earlier.data["training"], section)
        return section


def idle_controls(tuning: TuningConfig, reading: ReviewReadingConfig) -> dict[str, str]:
    """Controls that would be the model itself -> the setting that names nothing."""
    idle = {} if tuning.objectives else {"frozen_encoder": "tuning.objectives"}
    return idle | ({"no_readings": "reading.reader"} if reading.reader is None else {})


def load_config(path: str | Path, overrides: Sequence[str] = ()) -> RunConfig:
    """Read and validate a YAML file with overrides such as `training.ranker.queries=300`. Raises ConfigError."""
    source = str(path)
    try:
        data = yaml.load(_expand(Path(path).read_text(encoding="utf-8")), UniqueKeys) or {}
    except FileNotFoundError:
        found = sorted(str(p) for p in Path("configs").glob("*.yaml"))
        raise ConfigError(f"{source}: no such file; runs that come with llmrec: {', '.join(found) or 'none'}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{source}: not a YAML file: {error}") from None
    except OSError as error:
        raise ConfigError(f"{source}: found no file that can be read: {error.strerror}") from None
    if not isinstance(data, dict):
        raise ConfigError(f"{source}: found a {type(data).__name__} at the top, expected sections such as `corpus:`")
    for override in overrides:
        _apply(data, override)
    try:
        return RunConfig.model_validate(data)
    except ValidationError as error:
        told = [e for e in error.errors() if e["type"] != _AFTERMATH]
        raise ConfigError("\n".join(_explain(source, e) for e in told)) from None


#: Of a default that depends on a value which is wrong itself.
_AFTERMATH = "default_factory_not_called"


class UniqueKeys(yaml.SafeLoader):
    """YAML in which a key that stands twice in one mapping is an error: of the two, one would do nothing."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Raises yaml.YAMLError with the line."""
        keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        if twice := sorted({key for key in keys if keys.count(key) > 1 and key != "<<"}):
            raise yaml.constructor.ConstructorError(None, None, f"{twice[0]!r} stands here twice", node.start_mark)
        return super().construct_mapping(node, deep)


def _expand(text: str) -> str:
    def value(match: re.Match[str]) -> str:
        name, default = match["name"], match["default"]
        found = os.environ.get(name, default)
        if found is None:
            raise ConfigError(f"${{{name}}}: the variable {name} is not set; set it, or write ${{{name}:-default}}")
        return found

    variable = re.compile(r"\$\{(?P<name>\w+)(?::-(?P<default>[^}]*))?\}")
    lines = text.splitlines(keepends=True)  # a comment may name what is not set
    return "".join(line if line.lstrip().startswith("#") else variable.sub(value, line) for line in lines)


def _apply(data: dict[str, Any], override: str) -> None:
    key, sign, value = override.partition("=")
    if not sign or not key:
        raise ConfigError(f"override {override!r}: expected SECTION.KEY=VALUE, for example training.ranker.queries=300")
    *sections, last = key.split(".")
    for name in sections:
        data = data.setdefault(name, {})
        if not isinstance(data, dict):
            raise ConfigError(f"override {override!r}: {name} is a value, not a section")
    try:
        data[last] = yaml.load(value, UniqueKeys)
    except yaml.YAMLError as error:
        raise ConfigError(f"override {override!r}: not YAML: {' '.join(str(error).split())}") from None


#: What stands in an address and is for nobody's eyes.
_SECRET = re.compile(r"(://[^/@\s]*:|password=)[^@&#\s'\"]+")


def _explain(source: str, error: Any) -> str:
    key = ".".join(str(part) for part in error["loc"]) or "(top)"
    found = _SECRET.sub(r"\1***", repr(error.get("input")))
    found = found if len(found) <= 120 else found[:117] + "..."
    if error["type"] == "extra_forbidden":
        allowed = _allowed(error["loc"][:-1])
        said = f"unknown key; the nearest is {nearest(str(error['loc'][-1]), allowed)}" if allowed else "unknown key"
        return f"{source}: {key}: {said}; allowed here: {', '.join(allowed)}"
    expected = error["msg"].removeprefix("Value error, ")
    if error["type"] == "literal_error" and isinstance(error["input"], str):
        words = re.findall(r"'([^']*)'", error["ctx"]["expected"])
        expected += f"; the nearest is {nearest(error['input'], words)!r}"
    return f"{source}: {key}: found {found}, expected: {expected}"


def _allowed(loc: tuple[Any, ...]) -> list[str]:
    section: Any = RunConfig
    for part in loc:
        field = getattr(section, "model_fields", {}).get(part)
        section = field.annotation if field else None
    return sorted(getattr(section, "model_fields", {}))
