"""The tables of outcomes: what a ranker of many says of each, beside one fitted to it alone and plain rates."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import expit

from llmrec.config import EvaluationConfig, RunConfig
from llmrec.config.data.events import REVIEW
from llmrec.config.data.outcomes import CLICK, LIKE, STARS, TaskConfig
from llmrec.config.models import model_config
from llmrec.evaluation.evaluation_run import EvaluationRun
from llmrec.evaluation.labels.rankers import fit_twice
from llmrec.evaluation.labels.rows import LabelRows
from llmrec.evaluation.labels.tables import Predicted, TestRows, number_table, probability_table
from llmrec.evaluation.ranking.our_models import Variant
from llmrec.evaluation.records.tables import LabelTable
from llmrec.features.asof.interactions import Floats, Interactions
from llmrec.features.dataset.rows import Examples
from llmrec.models.base import ModelContext
from llmrec.models.raters.bias import Biases
from llmrec.schema import DAY_MS
from llmrec.variants import VARIANT_LABELS

logger = logging.getLogger(__name__)

_DAMPING = (1.0, 3.0, 10.0, 30.0, 100.0)
#: Sums of rates leave [0, 1].
_END = 1e-3
RATES = "rates"


@dataclass(frozen=True)
class Asked:
    """One outcome's rows: those of each part that know it, with it as the label.

    `rows.click` is the label, whatever it is; `known`: which of all test rows these are.
    """

    task: TaskConfig
    rows: LabelRows
    known: npt.NDArray[np.bool_]

    @classmethod
    def of(cls, rows: LabelRows, task: TaskConfig, place: int) -> "Asked":
        parts = {name: _knowing(part, place) for name, part in vars(rows).items()}
        return cls(task, LabelRows(**parts), np.isfinite(rows.test.outcomes[:, place]))

    @property
    def is_told(self) -> bool:
        """Whether every part has rows, and of what may happen or not both kinds."""
        labels = [part.click for part in vars(self.rows).values()]
        return all(len(np.unique(label)) > 1 for label in labels)

    def probability(self, said: npt.NDArray[np.floating[Any]]) -> Floats:
        """Of what may happen or not, from its logits; numbers as they are."""
        return np.asarray(expit(said) if self.task.form == "whether" else said, np.float64)


def _knowing(rows: Examples, place: int) -> Examples:
    some = rows.take(np.flatnonzero(np.isfinite(rows.outcomes[:, place])))
    label = some.outcomes[:, [place]]
    return replace(some, click=label[:, 0], outcomes=label)


def outcome_tables(e: EvaluationRun) -> Iterator[LabelTable]:
    """A table for each outcome that the bundles' ranker predicts beside the click."""
    first = next(iter(e.opened.values()), None)
    tasks = first.models.ranker.outcomes if first else ()
    if e.examples is None or len(tasks) < 2:
        return
    read = {name: LabelRows.read(e.examples, c, "click", tasks) for name, c in e.contexts.items()}
    ours = _ours(list(e.variants("temporal", 0)), read)
    for place, task in enumerate(tasks):
        asked = {name: Asked.of(rows, task, place) for name, rows in read.items()}
        one = next(iter(asked.values()))
        if task.name == CLICK:
            continue
        if not one.is_told:
            logger.warning("outcome %s: known of too few rows before T1, in [T1, T2) or after; no table", task.name)
            continue
        logger.info("outcome %s: fitted alone, rates", task.name)
        yield _table(e, asked, ours[task.name])


def _ours(variants: Sequence[Variant], read: dict[str, LabelRows]) -> dict[str, list[Predicted]]:
    """Outcome -> each variant's predictions of all test rows, as they are served."""
    found: dict[str, list[Predicted]] = {}
    for name, seeds in groupby(variants, lambda v: v.name):
        said = [v.bundle.models.said(read[name].test) for v in seeds]
        for outcome in said[0]:
            label = f"Many outcomes, {VARIANT_LABELS.get(name, name)}"
            by_seed = [np.asarray(one[outcome], np.float64) for one in said]
            found.setdefault(outcome, []).append(Predicted(name, "ours", label, "the ranker, as served", by_seed))
    return found


def _table(e: EvaluationRun, asked: dict[str, Asked], ours: Sequence[Predicted]) -> LabelTable:
    one = next(iter(asked.values()))
    task = one.task
    shown = [replace(p, by_seed=[said[one.known] for said in p.by_seed]) for p in ours]
    contexts = e.contexts
    alone = [_alone(e, name, a, contexts[name], len(ours[0].by_seed)) for name, a in asked.items()]
    models = [*shown, *alone, rates(one, e.data, delay_of(e.config, task))]
    pairs = [(p.name, q.name) for p, q in zip(shown, alone, strict=True)]
    pairs += [(shown[0].name, other.name) for other in (*shown[1:], models[-1])]
    words = f"{_described(task)} within {e.config.features.outcome_days:g} days of the event, of rows at t ≥ T2 that "
    words += "know it by the end of the corpus; `alone`: a network of the same widths for this outcome and no other, "
    words += "fitted on the same clicks (at most 10,000); rates as of t, damping chosen on [T1, T2)."
    return outcome_table(one, e.data, models, pairs, words, e.config.evaluation, e.config.seed)


def _described(task: TaskConfig) -> str:
    if task.form != "whether":
        return "Stars" if task.form == "stars" else f"Log of 1 + the value of {task.name}"
    return f"Whether {task.name} follows" + (f" with a value of at least {task.at_least:g}" if task.at_least else "")


def _alone(e: EvaluationRun, variant: str, asked: Asked, context: ModelContext, seeds: int) -> Predicted:
    """A shared bottom of the ranker's widths with the one outcome."""
    settings = e.settings[variant].models.models["ranker"]
    shared = model_config("ranker", "shared_bottom")
    own = {k: v for k, v in settings.items() if k in type(shared).model_fields} | {"name": "shared_bottom"}
    config = type(shared).model_validate(own).alone(asked.task.name)  # type: ignore[attr-defined]
    by_seed = []
    for n in range(seeds):
        _, model, chosen = fit_twice(config, context, asked.rows, e.config.seed + n)
        by_seed.append(asked.probability(model.predictions(asked.rows.test)[asked.task.name]))
    title = f"Alone, {VARIANT_LABELS.get(variant, variant)}"
    return Predicted(f"alone_{variant}", "baseline", title, "a network for this outcome alone", by_seed, chosen)


def delay_of(config: RunConfig, task: TaskConfig) -> int:
    """How long (ms) after its row an outcome is known: a review's own stars at once, else when the window is over."""
    reviewed = config.corpus.outcome.kind == REVIEW and task.name in (LIKE, STARS)
    return 0 if reviewed else int(config.features.outcome_days * DAY_MS)


def rates(asked: Asked, data: Interactions, delay: int) -> Predicted:
    """Damped means by item and user of what was known by t, `delay` ms after each row."""
    rows, told = asked.rows, [TestRows.of(part, data) for part in (asked.rows.train, asked.rows.test)]
    user, item, time = (np.concatenate([vars(t)[n] for t in told]) for n in ("user", "item", "time"))
    label = np.concatenate([rows.train.click, rows.test.click])
    order = np.argsort(time, kind="stable")
    events = user[order], item[order], time[order] + delay, label[order]
    seen = Interactions(data.user_ids, data.item_ids, *events, data.known_from)
    held = TestRows.of(rows.validation, data)

    def loss(damping: float) -> float:
        said = Biases(seen, damping)(held.user, held.item, held.time)
        return float(np.mean((said - rows.validation.click) ** 2))

    best = min(_DAMPING, key=loss)
    said = Biases(seen, best)(told[1].user, told[1].item, told[1].time)
    whether = asked.task.form == "whether"
    by_seed = [np.clip(said, _END, 1 - _END) if whether else said]
    title, words = ("Rates" if whether else "Bias"), "damped means by item and user of what was known by t"
    return Predicted(RATES, "baseline", title, words, by_seed, {"damping": best}, len(_DAMPING))


def outcome_table(
    asked: Asked, data: Interactions, models: Sequence[Predicted], pairs: Sequence[tuple[str, str]], words: str,
    config: EvaluationConfig, seed: int,
) -> LabelTable:  # fmt: skip
    """Of probabilities or of numbers, as the outcome is; the pairs (model, against) in `pairs` are compared."""
    test, name = asked.rows.test, f"outcome/{asked.task.name}"
    rows = TestRows.of(test, data)
    if asked.task.form == "whether":
        return probability_table("outcome", rows, models, pairs, words, config, seed, name)
    return number_table("outcome", rows, test.click.astype(np.float64), models, pairs, words, config, seed, name)
