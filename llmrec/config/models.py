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
    if isinstance(value, Sequence) and all(isinstance(v, ModelConfig) for v in value):
        found = tuple(value)
    else:
        found = tuple(model_config(role, settings) for settings in named_settings(role, value))
    names = [config.name for config in found]
    if len(set(names)) < len(names):
        raise ValueError(f"each {role} once, found {names}")
    return found


def named_settings(role: Role, value: Any) -> list[dict[str, Any]]:
    """A name, names, settings with names, or a mapping of names to settings as settings, each with its `name`.

    Raises ValueError for anything else.
    """
    if isinstance(value, Mapping):
        for name, settings in value.items():
            if not isinstance(settings, Mapping | None):
                raise ValueError(f"settings of the {role} {name}, such as {{epochs: 3}}, found {settings!r}")
        return [{"name": name, **(settings or {})} for name, settings in value.items()]
    found = [value] if isinstance(value, str) else value
    if not isinstance(found, Sequence):
        raise ValueError(f"names of {role}s, or name: settings, found {value!r}")
    return [_named(role, one) for one in found]


def _named(role: Role, value: Any) -> dict[str, Any]:
    if isinstance(value, ModelConfig):
        return value.model_dump()
    settings = {"name": value} if isinstance(value, str) else value
    if not isinstance(settings, Mapping) or not isinstance(settings.get("name"), str):
        raise ValueError(f"the name of a {role}, or settings with a name, found {value!r}")
    return dict(settings)


#: `json_schema_extra` of a setting that the fit writes and nobody else.
CHOSEN: dict[str, Any] = {"chosen": True}


def refuse_chosen(config: ModelConfig) -> None:
    """Raises ValueError where a setting that the fit writes was given, be it of a model that this one is made of."""
    for name, field in type(config).model_fields.items():
        value = getattr(config, name)
        if field.json_schema_extra == CHOSEN and value != field.get_default(call_default_factory=True):
            raise ValueError(f"{config.name}.{name} is what the fit chooses, found {value!r}; leave it out")
        for part in value if isinstance(value, tuple) else (value,):
            if isinstance(part, ModelConfig):
                refuse_chosen(part)


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
