"""How models are named in a configuration: `item_knn`, or `{name: item_knn, neighbours: 50}`."""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from llmrec.catalogue import MODELS, Role, model_class
from llmrec.config.base import Section
from llmrec.names import check_names


class ModelConfig(Section):
    """What the settings of every model begin with; each model's own are a subclass, `Model.Config`."""

    name: str


def model_config(role: Role, value: Any, default: str | None = None) -> ModelConfig:
    """The validated settings of the model that `value` names: a name, or settings with a name.

    Settings without a name are those of the model `default`. Raises ValueError for what no model of that role takes.
    """
    if isinstance(value, ModelConfig):
        return value
    settings = {"name": value} if isinstance(value, str) else dict(value) if isinstance(value, Mapping) else {}
    name = settings.setdefault("name", default)
    check_names(role, [str(name)], MODELS[role])
    try:
        made: ModelConfig = model_class(role, name).Config.model_validate(settings)
    except ValidationError as error:
        raise ValueError("; ".join(_explain(name, e) for e in error.errors())) from None
    return made


def model_configs(role: Role, value: Any) -> tuple[ModelConfig, ...]:
    """Several, each once: a list of names or settings, or a mapping of names to settings."""
    if isinstance(value, Mapping):
        value = [{"name": name, **(settings or {})} for name, settings in value.items()]
    found = tuple(model_config(role, v) for v in ([value] if isinstance(value, str) else value))
    names = [config.name for config in found]
    if len(set(names)) < len(names):
        raise ValueError(f"each {role} once, found {names}")
    return found


def _explain(name: str, error: Any) -> str:
    key = ".".join(map(str, error["loc"]))
    if error["type"] == "extra_forbidden":
        return f"a setting of {name}, found {key!r}, which it does not have"
    return f"{name}.{key}: {error['msg'].removeprefix('Value error, ')}, found {error.get('input')!r}"
