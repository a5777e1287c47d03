"""Ranking, metrics and intervals of an evaluation whose models are fitted, on events of MovieLens-latest's size.

    .venv/bin/python -m benchmarks.evaluate [--ratings N] [--models NAME,…] [--cache FOLDER]

610 users × 9,724 items, 100,836 events of unequal activity and popularity, each user's within a few sittings, the
last tenth being the test; protocols `temporal` and `leave_last_out`. `seconds` is what lies between fitted models and
the table: lists, metrics, parts of the queries, comparisons with their resampling; `cpu_seconds` the same on the clock
of this process, which other work on the machine does not lengthen as much; `fit_seconds` the fits of the
baselines with their default settings, stated apart. `--cache`: fitted models are kept there, so that a second run
measures ranking alone. Our own models need a bundle and are not in it.
"""

import argparse
import json
import pickle
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from llmrec.config import EvaluationConfig
from llmrec.evaluation.data.folds import Split
from llmrec.evaluation.data.protocols import leave_last_out, temporal
from llmrec.evaluation.data.slices import slices
from llmrec.evaluation.ranking.baselines import UNITED, WithFallback, fit_data, info, make
from llmrec.evaluation.ranking.evaluator import Answer, Catalogue, EvaluatedModel, Table
from llmrec.evaluation.ranking.lists import Lists
from llmrec.evaluation.ranking.tables import TableScope, protocol_table
from llmrec.features.asof.interactions import Interactions
from llmrec.models.base import Retriever
from llmrec.schema import DAY_MS

USERS, ITEMS, SITTINGS = 610, 9_724, 3
MODELS = ("popularity", "recent_popularity", "time_at_risk", "item_knn", "ease", "ials")
FALLBACK_DAYS = 90.0


def make_events(n: int, seed: int = 7) -> Interactions:
    """Each pair once; a user's events lie in a few sittings of an hour, as ratings on a site do."""
    rng = np.random.default_rng(seed)
    activity, popularity = rng.gamma(0.7, size=USERS), 1 / np.arange(1, ITEMS + 1) ** 0.8
    user = rng.choice(USERS, 3 * n, p=activity / activity.sum())
    item = rng.choice(ITEMS, 3 * n, p=popularity / popularity.sum())
    first = np.sort(np.unique(user * ITEMS + item, return_index=True)[1])[:n]
    user, item = user[first], item[first]
    begins = rng.integers(0, 20 * 365, (USERS, SITTINGS)) * DAY_MS
    time_ms = begins[user, rng.integers(SITTINGS, size=len(user))] + rng.integers(0, 3_600_000, len(user))
    return Interactions.from_arrays([f"u{u}" for u in user], [f"i{i}" for i in item], time_ms)


def fitted(name: str, split: Split, cache: Path | None) -> tuple[Retriever, float]:
    """The model as fitted for the test, and the seconds that it took (those of the fit that is kept)."""
    file = cache / f"{split.name}-{name}.pickle" if cache else None
    if file and file.exists():
        found: tuple[Retriever, float] = pickle.loads(file.read_bytes())  # ours, of this machine
        return found
    started = time.perf_counter()
    model = make(name, {})
    model.fit(fit_data(split.test, None, 7))
    made = model, time.perf_counter() - started
    if file:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(pickle.dumps(made))
    return made


def asked(name: str, model: Retriever, split: Split) -> Iterator[EvaluatedModel]:
    """The model as a table asks it, and united with popularity where that is done."""
    fold = split.test
    days = FALLBACK_DAYS if fold.information_set == "point_in_time" else None
    yield EvaluatedModel((Answer(name, "baseline", name, ""),), [WithFallback(model, days)])
    if name in UNITED and days:
        trained = np.bincount(fold.data.item[fold.train], minlength=fold.data.n_items) > 0
        yield EvaluatedModel((Answer(f"{name}_united", "baseline", name, ""),), [WithFallback(model, days, trained)])


def measure(split: Split, models: list[str], cache: Path | None) -> tuple[float, float, float]:
    """(seconds of the table, CPU seconds of it, seconds of the fits)."""
    fits, spent, cpu, config = 0.0, 0.0, 0.0, EvaluationConfig()
    with tempfile.TemporaryDirectory() as folder, Lists(folder, split.test.data) as lists:
        table = Table(lists, Catalogue.of(split.test, None), config.cutoffs, config.list_length)
        for name in models:
            if info(name).needs_clock and split.test.information_set != "point_in_time":
                continue
            model, seconds = fitted(name, split, cache)
            fits += seconds
            for evaluated in asked(name, model, split):
                started, used = time.perf_counter(), time.process_time()
                table.ask(evaluated, split.test, 0)
                spent += (took := time.perf_counter() - started)
                cpu += (used := time.process_time() - used)
                print(f"{split.name}: {evaluated.answers[0].name}: {took:.1f} s, CPU {used:.1f} s", flush=True)
        started, used = time.perf_counter(), time.process_time()
        measured = table.measured
        for place, name in enumerate(("text", "no_text")):  # so that the table has its comparisons
            measured[place].answer = replace(measured[place].answer, name=name, kind="ours")
        scope = TableScope(split.name, split.test.information_set, split.wording, split.test.queries, ITEMS, 0)
        protocol_table(scope, measured, slices(split.test), config, 7)
        spent += (took := time.perf_counter() - started)
        cpu += (used := time.process_time() - used)
        print(f"{split.name}: parts, comparisons and intervals: {took:.1f} s, CPU {used:.1f} s", flush=True)
    return spent, cpu, fits


def main() -> None:
    """Measure both protocols and print one line of JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--ratings", type=int, default=100_836)
    parser.add_argument("--models", default=",".join(MODELS))
    parser.add_argument("--cache", type=Path)
    options = parser.parse_args()
    data = make_events(options.ratings)
    cut = np.quantile(data.time, (0.8, 0.9))
    splits = [temporal(data, *cut), leave_last_out(data)]
    found = {s.name: measure(s, options.models.split(","), options.cache) for s in splits}
    line = {
        "benchmark": "evaluate", "ratings": len(data), "queries": {s.name: len(s.test.queries) for s in splits},
        "seconds": round(sum(spent for spent, _, _ in found.values()), 1),
        "cpu_seconds": round(sum(cpu for _, cpu, _ in found.values()), 1),
        "fit_seconds": round(sum(fits for _, _, fits in found.values()), 1),
        "by_protocol": {name: round(spent, 1) for name, (spent, _, _) in found.items()},
    }  # fmt: skip
    print(json.dumps(line, separators=(",", ":")))


if __name__ == "__main__":
    main()
