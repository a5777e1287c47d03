"""Ranking, metrics and intervals of an evaluation whose models are fitted, on events of MovieLens-latest's size.

    .venv/bin/python -m benchmarks.evaluate [--ratings N] [--models NAME,…] [--cache FOLDER] [--rounds R]

610 users × 9,724 items, 100,836 events of unequal activity and popularity, each user's within a few sittings, the
last tenth being the test; protocols `temporal` and `leave_last_out`. `seconds` is what lies between fitted models and
the table: lists, metrics, parts of the queries, comparisons with their resampling; `cpu_seconds` the same on the clock
of this process, which other work on the machine does not lengthen as much; `fit_seconds` the fits of the
baselines with their default settings, stated apart. `--cache`: fitted models are kept there, so that a second run
measures ranking alone. Our own models need a bundle and are not in it.

Then, `--rounds` times in turns with RecTools + implicit (`make rivals`): the same models with the same settings on the
transductive protocols, which are all that they know; fits, lists of 100 and metrics of accuracy (ours also diversity,
novelty, coverage and recall over k). `ratio_vs_rectools`: their seconds / ours, the median over rounds, fits and all;
`by_model` the same of each model, fits and ranking apart. NDCG@10 must agree.
"""

import argparse
import json
import pickle
import statistics
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.common import RIVAL_PYTHON, RivalProcess
from llmrec.config import EvaluationConfig
from llmrec.config.models import model_config
from llmrec.evaluation.data.folds import Split
from llmrec.evaluation.data.protocols import leave_last_out, random_split, temporal
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
PAIRED = ("popularity", "item_knn", "ease", "ials")
METRIC, TOLERANCE = "ndcg@10", 0.01  # ties, items nobody had, and ALS's last half step are treated otherwise there
Seconds = dict[str, dict[str, float]]  # model -> part -> seconds, and its NDCG


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


def ours(split: Split) -> Seconds:
    """The paired models by this tree, on a transductive protocol."""
    found, config = Seconds(), EvaluationConfig()
    with tempfile.TemporaryDirectory() as folder, Lists(folder, split.test.data) as lists:
        table = Table(lists, Catalogue.of(split.test, None), config.cutoffs, config.list_length)
        for name in PAIRED:
            model, fit = fitted(name, split, None)
            started = time.perf_counter()
            table.ask(next(asked(name, model, split)), split.test, 0)
            found[name] = {"fit": fit, "rank": time.perf_counter() - started}
        for measured in table.measured:
            found[measured.answer.name]["ndcg"] = float(measured.values[METRIC].mean())
    return found


def theirs(rival: RivalProcess, split: Split) -> Seconds:
    """The same by RecTools and implicit, with the settings of ours."""
    fold, config = split.test, EvaluationConfig()
    settings = {n: model_config("retriever", {"name": n}).model_dump(exclude={"name"}) for n in PAIRED}
    with tempfile.TemporaryDirectory() as folder:
        file, q = Path(folder) / "events.npz", fold.queries
        train = {"user": fold.data.user[fold.train], "item": fold.data.item[fold.train]}
        np.savez(file, allow_pickle=False, **train, test_user=np.repeat(q.user, np.diff(q.indptr)), test_item=q.item)
        return rival.ask(
            events=str(file), models=PAIRED, settings=settings, k=config.list_length, cutoffs=config.cutoffs
        )


def paired(splits: list[Split], rounds: int) -> dict[str, object]:
    """Of each protocol: their seconds over ours, in all and by model. Raises RuntimeError where NDCG differs."""
    if not RIVAL_PYTHON.exists() or not rounds:
        return {"ratio_vs_rectools": None}
    rival, ratios = RivalProcess(RIVAL_PYTHON, "evaluate_rivals.py"), dict[str, list[float]]()
    for turn in range(rounds):
        for split in splits:
            first = ours(split) if turn % 2 == 0 else None
            other = theirs(rival, split)
            mine = first or ours(split)
            for name in PAIRED:
                a, b = mine[name], other[name]
                print(f"{split.name}: {name}: {METRIC} {a['ndcg']:.4f} and {b['ndcg']:.4f}; fit {a['fit']:.2f} and "
                      f"{b['fit']:.2f} s, ranking {a['rank']:.2f} and {b['rank']:.2f} s", flush=True)  # fmt: skip
                if abs(a["ndcg"] - b["ndcg"]) > TOLERANCE:
                    raise RuntimeError(f"{name}: {METRIC} {a['ndcg']} here and {b['ndcg']} there: not the same work")
                for part in ("fit", "rank"):
                    ratios.setdefault(f"{split.name}.{name}.{part}", []).append(b[part] / a[part])
            ratios.setdefault(split.name, []).append(_total(other) / _total(mine))
    rival.close()
    found = {name: round(statistics.median(values), 2) for name, values in ratios.items()}
    return {"ratio_vs_rectools": {s.name: found.pop(s.name) for s in splits}, "by_model": found}


def _total(seconds: Seconds) -> float:
    return sum(s["fit"] + s["rank"] for s in seconds.values())


def main() -> None:
    """Measure both protocols, then in turns with the rivals, and print one line of JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--ratings", type=int, default=100_836)
    parser.add_argument("--models", default=",".join(MODELS))
    parser.add_argument("--cache", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
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
        **paired([splits[1], random_split(data, 7)], options.rounds),
    }  # fmt: skip
    print(json.dumps(line, separators=(",", ":")))


if __name__ == "__main__":
    main()
