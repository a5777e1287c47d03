"""How models are named in a configuration: `item_knn`, or `{name: item_knn, neighbours: 50}`."""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from llmrec.catalogue import MODELS, Role, model_class
from llmrec.config.base import Section
from llmrec.names import check_names, nearest


class ModelConfig(Section):
    """What the settings of every model begin with; each model's own are a subclass, `Model.Config`."""

    name: str


def model_config(role: Role, value: Any, default: str | None = None) -> ModelConfig:
    """The validated settings of the model that `value` names: a name, or settings with a name.

    Settings without a name are those of the model `default`. Raises ValueError for what no model of that role takes.
    """
    if isinstance(value, ModelConfig):
        return value
    if not isinstance(value, str | Mapping):
        raise ValueError(f"the name of a {role}, or settings with a name, found {value!r}")
    settings = {"name": value} if isinstance(value, str) else dict(value)
    name = settings.setdefault("name", default)
    check_names(role, [str(name)], MODELS[role])
    config = model_class(role, name).Config
    try:
        made: ModelConfig = config.model_validate(settings)
    except ValidationError as error:
        raise ValueError("; ".join(_explain(name, config, e) for e in error.errors())) from None
    return made


def model_configs(role: Role, value: Any) -> tuple[ModelConfig, ...]:
    """Several, each once: a list of names or settings, or a mapping of names to settings."""
    if isinstance(value, Mapping):
        value = [{"name": name, **(settings or {})} for name, settings in value.items()]
    if not isinstance(value, str | Sequence):
        raise ValueError(f"names of {role}s, or name: settings, found {value!r}")
    found = tuple(model_config(role, v) for v in ([value] if isinstance(value, str) else value))
    names = [config.name for config in found]
    if len(set(names)) < len(names):
        raise ValueError(f"each {role} once, found {names}")
    return found


def clicks_alone(rankers: Sequence[ModelConfig]) -> None:
    """Raises ValueError for rankers that predict other outcomes beside the click."""
    for ranker in rankers:
        if outcomes := getattr(ranker, "outcomes", ()):
            raise ValueError(f"rankers of the click alone, found {ranker.name}, which predicts {list(outcomes)} too")


def _explain(name: str, config: type[ModelConfig], error: Any) -> str:
    key = ".".join(map(str, error["loc"]))
    if error["type"] == "extra_forbidden":
        known = sorted(config.model_fields)
        return f"{name} has no setting {key!r}; the nearest is {nearest(key, known)!r} of {', '.join(known)}"
    return f"{name}.{key}: {error['msg'].removeprefix('Value error, ')}, found {error.get('input')!r}"
