"""Rankers of many outcomes beside networks of one outcome each, on the examples of a finished run.

    .venv/bin/python -m jobs.featurize --config configs/outcomes.yaml        # and what comes before it
    .venv/bin/python -m benchmarks.outcomes [--config FILE] [--seeds N] [--models NAME …] [SECTION.KEY=VALUE …]

Each model chooses its learning rate and epochs by its loss on [T1, T2), with the first seed, among the same rates; it
is then fitted before T2 with each seed and asked once about the test rows. `alone` is a shared bottom of one outcome.
Figures are means over seeds; differences are paired and clustered by user and item. The last line is JSON.
"""

import argparse
import json
import logging
from typing import Any

import numpy as np

from llmrec.config import RunConfig, load_config
from llmrec.config.models import model_config
from llmrec.evaluation.labels.outcomes import Asked, delay_of, outcome_table, rates
from llmrec.evaluation.labels.rankers import fit_once
from llmrec.evaluation.labels.rows import LabelRows
from llmrec.evaluation.labels.tables import Predicted
from llmrec.models.base import ModelContext
from llmrec.models.rankers.multitask.config import MultiTaskConfig
from llmrec.models.rankers.multitask.ranker import MultiTaskRanker
from llmrec.models.rankers.network_ranker import predict
from llmrec.pipeline import run_stage
from llmrec.storage import Artifact, Storage
from llmrec.training.fit import load_context

RATES = (1e-3, 3e-3)
MODELS = ("shared_bottom", "mmoe", "ple", "esmm")
SHOWN = {"whether": ("auc", "log_loss", "ece"), "log_value": ("rmse",), "stars": ("rmse",)}
logger = logging.getLogger("benchmarks.outcomes")


def predictions(
    config: MultiTaskConfig, context: ModelContext, rows: LabelRows, seeds: list[int]
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Of the test rows, one entry a seed; and what [T1, T2) chose."""
    tried = {}
    for rate in RATES:
        early, chosen = fit_once(config.model_copy(update={"learning_rate": rate}), context, rows.fit, rows.validation,
                                 seeds[0])  # fmt: skip
        tried[_loss(early, rows)] = {"learning_rate": rate, **chosen}
    best = tried[min(tried)]
    logger.info("%s %s: %s", config.name, [task.name for task in config.outcomes], best)
    final = config.model_copy(update=best)
    return [fit_once(final, context, rows.train, None, seed)[0].predictions(rows.test) for seed in seeds], best


def _loss(model: Any, rows: LabelRows) -> float:
    assert isinstance(model, MultiTaskRanker)
    target = model.target()
    return target.measure(target.labels(rows.validation), predict(model.net, rows.validation))["total"]


def measure(config: RunConfig, names: list[str], seeds: list[int]) -> dict[str, Any]:
    """What `measure_on` says, of the examples of a finished run."""
    run = run_stage(config, Storage(config.storage), "featurize", lambda *_: None)
    return measure_on(config, run.artifacts["examples.test"], run.variants[0], names, seeds)


def measure_on(
    config: RunConfig, examples: Artifact, variant: str, names: list[str], seeds: list[int]
) -> dict[str, Any]:
    """Outcome -> model -> figures, and what each many-outcome model is worth against the one alone."""
    context = load_context(examples, variant)
    base = config.training.ranker
    assert isinstance(base, MultiTaskConfig)
    rows = LabelRows.read(examples, context, "click", base.outcomes)
    own = base.model_dump(include=set(MultiTaskConfig.model_fields))
    many = {name: model_config("ranker", {**own, "name": name}) for name in names}
    said = {name: predictions(c, context, rows, seeds)[0] for name, c in many.items()}  # type: ignore[arg-type]
    shared: Any = model_config("ranker", {**own, "name": "shared_bottom"})
    found = {}
    for place, task in enumerate(base.outcomes):
        asked = Asked.of(rows, task, place)
        alone, _ = predictions(shared.alone(task.name), context, asked.rows, seeds)
        models = [
            _predicted(name, asked, [p[task.name][asked.known] for p in by_seed]) for name, by_seed in said.items()
        ]
        models.append(_predicted("alone", asked, [p[task.name] for p in alone]))
        models.append(rates(asked, context.interactions, delay_of(config, task)))
        pairs = [(name, "alone") for name in names]
        table = outcome_table(asked, context.interactions, models, pairs, "", config.evaluation, config.seed)
        metrics = SHOWN[task.form]
        found[task.name] = {
            "rows": table.n_rows, "positive_share": table.positive_share,
            **{m.name: {k: round(m.metrics[k].value, 4) for k in metrics} for m in table.models},
            "against_alone": {c.model: [round(v, 4) for v in (c.difference.value, c.difference.low, c.difference.high)  # type: ignore[arg-type]
                              ] + [c.verdict] for c in table.comparisons if c.metric == metrics[0]},
        }  # fmt: skip
        logger.info("%s: %s", task.name, json.dumps(found[task.name]))
    return found


def _predicted(name: str, asked: Asked, by_seed: list[Any]) -> Predicted:
    return Predicted(name, "ours", name, "", [np.asarray(asked.probability(said)) for said in by_seed])


def main() -> None:
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", default="configs/outcomes.yaml")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--models", nargs="+", default=list(MODELS), choices=MODELS)
    parser.add_argument("overrides", nargs="*")
    arguments = parser.parse_args()
    config = load_config(arguments.config, arguments.overrides)
    seeds = [config.seed + n for n in range(arguments.seeds)]
    found = measure(config, arguments.models, seeds)
    print(json.dumps({"benchmark": "outcomes", "seeds": seeds, "outcomes": found}))


if __name__ == "__main__":
    main()
