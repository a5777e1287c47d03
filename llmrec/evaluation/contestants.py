"""Who answers the queries of a protocol: our arms and the tuned baselines."""

from collections.abc import Callable, Iterable, Iterator
from itertools import groupby

from llmrec.config import EvaluationConfig
from llmrec.evaluation.answers import Answer, Contestant
from llmrec.evaluation.baselines import RECENT, Tuned, WithFallback, candidates, tune
from llmrec.evaluation.ours import ARM_WORDS, Arm
from llmrec.evaluation.profiles import Vectors
from llmrec.evaluation.protocols import Split

Progress = Callable[[str], None]


def our_contestants(arms: Iterable[Arm], split: Split, progress: Progress) -> Iterator[Contestant]:
    """Two answers an arm: retrieval and ranker (named as the arm), and retrieval alone (`ARM_retrieval`).

    `arms`: the seeds of an arm one after the other.
    """
    for name, found in groupby(arms, lambda a: a.name):
        seeds = list(found)
        progress(f"{split.name}: {name}")
        words = ARM_WORDS.get(name, name)
        fallback = f"{seeds[0].recommender.bundle.stage_two.fallback} where nothing is known of the user"
        both = "two-tower retrieval, then the click model over the candidates"
        ranked = Answer(name, "ours", f"Two-tower + ranker, {words}", both, _settings(seeds[0]), fallback=fallback)
        alone = Answer(f"{name}_retrieval", "ours", f"Two-tower, {words}", "two-tower retrieval alone",
                       fallback=fallback)  # fmt: skip
        yield Contestant((ranked, alone), seeds)


def control_contestants(arms: Iterable[Arm], split: Split, progress: Progress) -> Iterator[Contestant]:
    """Each control's retrieval and ranker."""
    for arm in arms:
        progress(f"{split.name}: control {arm.name}")
        label = f"Control: {arm.name.replace('_', ' ')}"
        answer = Answer(arm.name, "control", label, "the same model with an input swapped", _settings(arm))
        yield Contestant((answer,), [arm])


def _settings(arm: Arm) -> dict[str, float]:
    models = arm.recommender.bundle.settings.models
    return {f"epochs.{m}": n for m, n in models.chosen_epochs.items()} | {
        f"second_stage.{c}": round(w, 4) for c, w in models.stage_two.weights.items()
    }


def baseline_contestants(
    split: Split, config: EvaluationConfig, progress: Progress, vectors: Vectors | None = None
) -> Iterator[Contestant]:
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
        yield Contestant((_answer(candidate.name, tuned, days),), [WithFallback(tuned.model, days)])


def _answer(name: str, tuned: Tuned, days: float | None) -> Answer:
    model = tuned.model
    fallback = f"popularity, decay {days:g} days" if model.uses_history and days is not None else ""
    label = "Recent popularity" if name == RECENT else model.label
    return Answer(name, "baseline", label, model.description, tuned.settings, len(tuned.scores) or None, fallback,
                  tuned.fit_seconds)  # fmt: skip
