"""Who answers the queries of a protocol: our variants and the tuned baselines."""

from collections.abc import Callable, Iterable, Iterator
from itertools import groupby

from llmrec.config import EvaluationConfig
from llmrec.evaluation.baselines import RECENT, Tuned, WithFallback, candidates, tune
from llmrec.evaluation.data.folds import Split
from llmrec.evaluation.data.profiles import Vectors
from llmrec.evaluation.ranking.evaluator import Answer, EvaluatedModel
from llmrec.evaluation.ranking.our_models import Variant
from llmrec.variants import VARIANT_LABELS

Progress = Callable[[str], None]


def our_models(variants: Iterable[Variant], split: Split, progress: Progress) -> Iterator[EvaluatedModel]:
    """Two answers a variant: retrieval and ranker (named as the variant), and retrieval alone (`ARM_retrieval`).

    `variants`: the seeds of a variant one after the other.
    """
    for name, found in groupby(variants, lambda a: a.name):
        seeds = list(found)
        progress(f"{split.name}: {name}")
        words = VARIANT_LABELS.get(name, name)
        fallback = f"{seeds[0].recommender.bundle.blender.fallback} where nothing is known of the user"
        both = "two-tower retrieval, then the click model over the candidates"
        ranked = Answer(name, "ours", f"Two-tower + ranker, {words}", both, _settings(seeds[0]), fallback=fallback)
        alone = Answer(f"{name}_retrieval", "ours", f"Two-tower, {words}", "two-tower retrieval alone",
                       fallback=fallback)  # fmt: skip
        yield EvaluatedModel((ranked, alone), seeds)


def control_models(variants: Iterable[Variant], split: Split, progress: Progress) -> Iterator[EvaluatedModel]:
    """Each control's retrieval and ranker."""
    for variant in variants:
        progress(f"{split.name}: control {variant.name}")
        label = f"Control: {variant.name.replace('_', ' ')}"
        answer = Answer(variant.name, "control", label, "the same model with an input swapped", _settings(variant))
        yield EvaluatedModel((answer,), [variant])


def _settings(variant: Variant) -> dict[str, float]:
    models = variant.recommender.bundle.settings.models
    return {f"epochs.{m}": n for m, n in models.chosen_epochs.items()} | {
        f"second_stage.{c}": round(w, 4) for c, w in models.blender.weights.items()
    }


def baseline_models(
    split: Split, config: EvaluationConfig, progress: Progress, vectors: Vectors | None = None
) -> Iterator[EvaluatedModel]:
    """Every baseline, tuned on the split's validation and fitted anew; recent popularity is the fallback of all.

    `vectors` (n_events, dim): the reviews' vectors, for baselines on text. Where all times are visible nothing is
    recent, and features as of a time do not exist: those baselines stay out of transductive tables.
    """
    days = None
    point_in_time = split.test.information_set == "point_in_time"
    for candidate in candidates(config.size, config.baselines, vectors):
        if candidate.needs_clock and not point_in_time:
            continue
        progress(f"{split.name}: {candidate.name}")
        tuned = tune(candidate, split, config.primary_metric, config.tuning_trials, days)
        if candidate.name == RECENT:
            days = float(tuned.settings["decay_days"])
        yield EvaluatedModel((_answer(candidate.name, tuned, days),), [WithFallback(tuned.model, days)])


def _answer(name: str, tuned: Tuned, days: float | None) -> Answer:
    model = tuned.model
    fallback = f"popularity, decay {days:g} days" if model.uses_history and days is not None else ""
    label = "Recent popularity" if name == RECENT else model.label
    return Answer(name, "baseline", label, model.description, tuned.settings, len(tuned.scores) or None, fallback,
                  tuned.fit_seconds)  # fmt: skip
