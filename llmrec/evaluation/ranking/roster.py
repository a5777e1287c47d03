"""Who answers the queries of a protocol: our variants and the tuned baselines."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import groupby

import numpy as np

from llmrec.config import EvaluationConfig
from llmrec.evaluation.data.folds import Split
from llmrec.evaluation.progress import Progress
from llmrec.evaluation.ranking.baselines import RECENT, UNITED, Tuned, WithFallback, baseline_names, info, tune
from llmrec.evaluation.ranking.evaluator import Answer, EvaluatedModel
from llmrec.evaluation.ranking.our_models import Variant
from llmrec.features.asof.text_profiles import Vectors
from llmrec.variants import VARIANT_LABELS


def our_models(variants: Iterable[Variant], split: Split, progress: Progress) -> Iterator[EvaluatedModel]:
    """Two answers a variant: retrieval and ranker (named as the variant), and retrieval alone (`ARM_retrieval`).

    `variants`: the seeds of a variant one after the other.
    """
    for name, found in groupby(variants, lambda v: v.name):
        seeds = list(found)
        progress(f"{split.name}: {name}")
        words = VARIANT_LABELS.get(name, name)
        models = seeds[0].recommender.models
        fallback = f"{models.fallback} where nothing is known of the user"
        found_by, ranker = " + ".join(m.INFO.title for m in models.retrievers.values()), models.ranker.INFO.title
        both = f"{found_by} retrieval, then {ranker} over the candidates{_guarded(seeds[0])}"
        ranked = Answer(name, "ours", f"{found_by} + ranker, {words}", both, _settings(seeds[0]), fallback=fallback)
        alone = Answer(f"{name}_retrieval", "ours", f"{found_by}, {words}", f"{found_by} retrieval alone",
                       fallback=fallback)  # fmt: skip
        yield EvaluatedModel((ranked, alone), seeds)


def control_models(variants: Iterable[Variant], split: Split, progress: Progress) -> Iterator[EvaluatedModel]:
    """Each control's retrieval and ranker."""
    for variant in variants:
        progress(f"{split.name}: control {variant.name}")
        label = f"Control: {variant.name.replace('_', ' ')}"
        answer = Answer(variant.name, "control", label, "the same model with an input swapped", _settings(variant))
        yield EvaluatedModel((answer,), [variant])


def _guarded(variant: Variant) -> str:
    """What the guard says of the blend, where it left less than all of it."""
    found = variant.settings.models.guarded
    if found is None or found.share == 1:
        return ""
    left = f"{found.share:.0%} of the blend and the rest {found.term}" if found.share else f"{found.term} alone"
    return f"; {left}, since validation does not rule out that more of the blend loses to that"


def _settings(variant: Variant) -> dict[str, float]:
    """What validation chose, and the blend."""
    models = variant.settings.models
    chosen = {f"{name}.{key}": value for key, found in models.chosen.items() for name, value in found.items()}
    if models.guarded is not None:
        chosen |= {"guard.share": models.guarded.share, "guard.lower": round(models.guarded.lower, 4)}
    return chosen | {f"blend.{column}": round(w, 4) for column, w in models.blender.items()}


def baseline_models(
    split: Split, config: EvaluationConfig, progress: Progress, vectors: Vectors | None = None
) -> Iterator[EvaluatedModel]:
    """Every baseline, tuned on the split's validation and fitted anew; recent popularity is the fallback of all.

    `vectors` (n_events, dim): the reviews' vectors, for baselines on text. Where all times are visible nothing is
    recent, and features as of a time do not exist: those baselines stay out of transductive tables.
    """
    days = None
    point_in_time = split.test.information_set == "point_in_time"
    for name in baseline_names(config.size, config.baselines, vectors is not None):
        if info(name).needs_clock and not point_in_time:
            continue
        progress(f"{split.name}: {name}")
        tuned = tune(name, split, config.primary_metric, config.tuning_trials, days, vectors)
        if name == RECENT:
            days = float(tuned.settings["decay_days"])
        yield EvaluatedModel((_answer(name, tuned, days),), [WithFallback(tuned.model, days)])
        if name in UNITED and point_in_time:
            yield _united(name, tuned, days, split)


def _united(name: str, tuned: Tuned, days: float | None, split: Split) -> EvaluatedModel:
    """The same fit, asked again: recent popularity places the items that training never saw."""
    trained = np.bincount(split.test.data.item[split.test.train], minlength=split.test.data.n_items) > 0
    said = _answer(name, tuned, days)
    words = f"{said.description}; items unknown to training take recent popularity's place"
    answer = replace(said, name=f"{name}_united", label=f"{said.label}, new items by popularity", description=words,
                     fit_seconds=None)  # fmt: skip
    return EvaluatedModel((answer,), [WithFallback(tuned.model, days, trained)])


def _answer(name: str, tuned: Tuned, days: float | None) -> Answer:
    model = info(name)
    fallback = f"popularity, decay {days:g} days" if not model.answers_all and days is not None else ""
    return Answer(name, "baseline", model.title, model.description, tuned.settings, len(tuned.scores) or None, fallback,
                  tuned.fit_seconds, tuned.sensitivity)  # fmt: skip
