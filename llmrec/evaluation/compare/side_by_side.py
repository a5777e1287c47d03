"""Runs that asked the same questions, measured on the same clusters and compared with the first, in pairs."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

from llmrec.config import EvaluationConfig
from llmrec.evaluation.compare.comparable import check_comparable
from llmrec.evaluation.compare.stored_run import StoredRun
from llmrec.evaluation.records.estimates import Comparison, Estimate
from llmrec.evaluation.statistics.bootstrap import Bootstrap
from llmrec.evaluation.statistics.comparisons import Pair, compare
from llmrec.schema import C


@dataclass(frozen=True)
class SideBySide:
    """What `compare_runs` found: `estimates[run][model][metric]`, and every run against the first, in pairs."""

    runs: list[StoredRun]
    n_queries: int
    estimates: dict[str, dict[str, dict[str, Estimate]]]
    comparisons: list[Comparison]
    notes: list[str]


def compare_runs(
    runs: Sequence[StoredRun], metrics: Sequence[str] = (), models: Sequence[str] = (), seed: int = 7
) -> SideBySide:
    """Measure the models that all runs share on the same queries, and compare each run with the first.

    `metrics`: the first run's primary one by default; `models`: all shared ones. All comparisons are one family: see
    `statistics.comparisons.compare`. Raises NotComparable, or ValueError where a model or metric is unknown.
    """
    notes = check_comparable(runs)
    first = runs[0]
    metrics = metrics or [first.results.run.primary_metric or EvaluationConfig().primary_metric]
    models = _shared_models(runs, models)
    stored, defaults = first.results.run, EvaluationConfig()
    values = [run.values(model, metric) for run, model, metric in product(runs, models, metrics)]
    resamples = defaults.bootstrap if stored.bootstrap is None else stored.bootstrap
    bootstrap = Bootstrap(first.numbers(C.USER_ID), resamples, seed, first.numbers(C.ITEM_ID))
    keys = product([run.title for run in runs], models, metrics)
    sampled = dict(zip(keys, bootstrap.means(values), strict=True))
    pairs = [
        Pair(f"{run}:{model}", f"{first.title}:{model}", metric, found, sampled[first.title, model, metric])
        for (run, model, metric), found in sampled.items()
        if run != first.title
    ]
    estimates: dict[str, dict[str, dict[str, Estimate]]] = {run.title: {m: {} for m in models} for run in runs}
    for (run, model, metric), found in sampled.items():
        estimates[run][model][metric] = found.estimate(stored.confidence)
    return SideBySide(list(runs), len(values[0]), estimates, compare(pairs, stored.confidence), notes)


def _shared_models(runs: Sequence[StoredRun], wanted: Sequence[str]) -> list[str]:
    shared = [m for m in runs[0].models if all(m in run.models for run in runs)]
    if missing := [m for m in wanted if m not in shared]:
        raise ValueError(f"models {missing} are not in every run; all of them have: {', '.join(shared) or 'none'}")
    if not shared:
        held = "; ".join(f"{run.title}: {', '.join(run.models)}" for run in runs)
        raise ValueError(f"the runs share no model: {held}")
    return list(wanted) or shared
