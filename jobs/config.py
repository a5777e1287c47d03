"""What can be configured: every name with a line each, or one run's configuration, complete and checked."""

import argparse
import sys
from collections.abc import Iterator
from typing import Any, Literal, get_args, get_origin

import yaml

from llmrec.catalogue import MODELS, Role, model_class
from llmrec.config import ConfigError, RunConfig, Section, load_config
from llmrec.names import (
    AUGMENTATIONS,
    EVENT_KINDS,
    FAMILIES,
    OBJECTIVES,
    PAIRS,
    PROFILE_MAKERS,
    RANKING_METRICS,
    READERS,
)
from llmrec.variants import CONTROLS


def names() -> Iterator[str]:
    """All that a configuration can name, section by section, a line each."""
    for title, known in (
        ("evaluation.primary_metric, NAME@K", RANKING_METRICS),
        *((f"{role}s: {_WHERE[role]}", _models(role)) for role in MODELS),
        ("evaluation.controls", {name: control.description for name, control in CONTROLS.items()}),
        ("readers: reading.reader", READERS),
        ("profile makers: reading.profiles.maker", PROFILE_MAKERS),
        ("kinds of events: corpus.outcome, corpus.event_repeats (and corpus.event_kinds)", EVENT_KINDS),
        ("objectives, with weights: tuning.objectives", OBJECTIVES),
        ("pairs, with shares: tuning.pairs", PAIRS),
        ("augmentations, with shares: tuning.augment", AUGMENTATIONS),
        ("features.include, features.exclude (shell patterns)", FAMILIES),
    ):
        yield title
        yield from (f"  {name:<24}{line}" for name, line in known.items())
    yield "one of a few"
    sections = {"": RunConfig} | {
        f"{name}.": model_class(role, name).Config for role in MODELS for name in MODELS[role]
    }
    few = (pair for prefix, section in sections.items() for pair in _choices(section, prefix))
    yield from (f"  {key:<36}{', '.join(map(str, choices))}" for key, choices in few if len(choices) > 1)


#: Where the models of a role are named.
_WHERE = {"retriever": "training.retrievers, evaluation.baselines", "ranker": "training.ranker, evaluation.baselines",
          "blender": "training.blender", "calibrator": "training.calibrator", "rater": "training.raters"}  # fmt: skip


def _models(role: Role) -> dict[str, str]:
    """Name -> a line."""
    infos = {name: model_class(role, name).INFO for name in MODELS[role]}
    return {name: f"{i.title}: {i.description}" + f" ({i.paper})" * bool(i.paper) for name, i in infos.items()}


def _choices(section: type[Section], prefix: str = "") -> Iterator[tuple[str, list[Any]]]:
    """Key and values of every setting that is one of a few words, or several of them."""
    for name, field in section.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, Section):
            yield from _choices(field.annotation, f"{prefix}{name}.")
        elif values := list(_literals(field.annotation)):
            yield f"{prefix}{name}", values


def _literals(annotation: Any) -> Iterator[Any]:
    if get_origin(annotation) is Literal:
        yield from get_args(annotation)
    for part in get_args(annotation) if get_origin(annotation) is not Literal else ():
        yield from _literals(part)


def main() -> int:
    """0, or 2 where the configuration cannot be used."""
    arguments = argparse.ArgumentParser(description=__doc__)
    what = arguments.add_mutually_exclusive_group(required=True)
    what.add_argument("--list", action="store_true", help="print all that can be named, with a line each")
    what.add_argument("--config", help="print this file's configuration with every default, as YAML")
    arguments.add_argument("overrides", nargs="*", metavar="SECTION.KEY=VALUE", help="replace a value of the file")
    args = arguments.parse_args()
    if args.list:
        print("\n".join(names()))
        return 0
    try:
        config = load_config(args.config, args.overrides)
    except ConfigError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False, allow_unicode=True), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
