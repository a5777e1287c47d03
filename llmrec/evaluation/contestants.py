"""Who answers the queries of a protocol: our arms and the tuned baselines."""

import logging
from collections.abc import Callable, Sequence

from llmrec.config import EvaluationConfig
from llmrec.evaluation.answers import Answer
from llmrec.evaluation.baselines import RECENT, Tuned, candidates, recommend, tune
from llmrec.evaluation.ours import Arm
from llmrec.evaluation.profiles import Vectors
from llmrec.evaluation.protocols import Split

logger = logging.getLogger(__name__)
Progress = Callable[[str], None]

_WITH = {"text": "with text", "no_text": "without text"}


def our_answers(arms: Sequence[Arm], split: Split, k: int, progress: Progress) -> list[Answer]:
    """Two answers an arm: retrieval and ranker (named as the arm), and retrieval alone (`ARM_retrieval`)."""
    two_stage, alone = [], []
    for name in dict.fromkeys(a.name for a in arms):
        seeds = [a for a in arms if a.name == name]
        lists = []
        for arm in seeds:
            progress(f"{split.name}: {name}, seed {arm.seed}")
            lists.append(arm.lists(split.test, k))
        words = _WITH.get(name, name)
        fallback = f"{seeds[0].recommender.bundle.stage_two.fallback} where nothing is known of the user"
        both = "two-tower retrieval, then the click model over the candidates"
        two_stage.append(Answer(name, "ours", f"Two-tower + ranker, {words}", both, [b for _, b in lists],
                                _settings(seeds[0]), fallback=fallback))  # fmt: skip
        alone.append(Answer(f"{name}_retrieval", "ours", f"Two-tower, {words}", "two-tower retrieval alone",
                            [a for a, _ in lists], fallback=fallback))  # fmt: skip
    return two_stage + alone


def control_answers(arms: Sequence[Arm], split: Split, k: int, progress: Progress) -> list[Answer]:
    """Each control's retrieval and ranker."""
    found = []
    for arm in arms:
        progress(f"{split.name}: control {arm.name}")
        label = f"Control: {arm.name.replace('_', ' ')}"
        found.append(Answer(arm.name, "control", label, "the same model with an input swapped",
                            [arm.lists(split.test, k)[1]], _settings(arm)))  # fmt: skip
    return found


def _settings(arm: Arm) -> dict[str, float]:
    models = arm.recommender.bundle.settings.models
    return {f"epochs.{m}": n for m, n in models.chosen_epochs.items()} | {
        f"second_stage.{c}": round(w, 4) for c, w in models.stage_two.weights.items()
    }


def baseline_answers(
    split: Split, config: EvaluationConfig, progress: Progress, vectors: Vectors | None = None
) -> list[Answer]:
    """Every baseline, tuned on the split's validation and fitted anew; recent popularity is the fallback of all.

    `vectors` (n_events, dim): the reviews' vectors, for baselines on text. Where all times are visible nothing is
    recent, and features as of a time do not exist: those baselines stay out of transductive tables.
    """
    answers, days = [], None
    point_in_time = split.test.information_set == "point_in_time"
    for candidate in candidates(config.size, config.baselines, vectors):
        if candidate.needs_clock and not point_in_time:
            continue
        progress(f"{split.name}: {candidate.name}")
        tuned = tune(candidate, split, config.primary_metric, config.tuning_trials, days)
        if candidate.name == RECENT:
            days = float(tuned.settings["decay_days"])
        answers.append(_answer(candidate.name, tuned, split, config.list_length, days))
    return answers


def _answer(name: str, tuned: Tuned, split: Split, k: int, days: float | None) -> Answer:
    model = tuned.model
    fallback = f"popularity, decay {days:g} days" if model.uses_history and days is not None else ""
    label = "Recent popularity" if name == RECENT else model.label
    lists = [recommend(model, split.test, k, days)]
    return Answer(name, "baseline", label, model.description, lists, tuned.settings, len(tuned.scores) or None,
                  fallback, tuned.fit_seconds)  # fmt: skip
