"""A month of new events: models that go on against models fitted anew, in quality and in time; old users among them.

    .venv/bin/python -m benchmarks.refresh [--seeds 7,8,9] [--queries N] [--epochs E] [--users U] [--storage ROOT]

Of the built-in corpus, a bundle is fitted on all before a month; the month and what follows come by the log of a
server, as `POST /v1/events` writes it. `refresh` goes on by the month; `retrain` runs the pipeline's featurize and
train on the same events, both folds, one variant; `stale` is the bundle of before. All three list for the events
after the month, which none was fitted on, as they would serve them. `quality`: NDCG@10 of refresh / retrain, pooled
over seeds, its 95 % interval by the delta method of the paired difference, clustered by user and item. `time`:
processor seconds of featurize, fits and assembling, in one process (as for up to 20,000 reviews); ingest and encoding
are the same for both and left out. `forgetting`: refresh / stale, for users without an event in the month.
"""

import argparse
import json
import os
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import torch

from jobs.cluster import connect
from llmrec import bundle, corpus, encoding, features, registry, training
from llmrec.config import RunConfig, SampleConfig, SplitConfig
from llmrec.corpus.sample import sample_table
from llmrec.evaluation.statistics.bootstrap import Bootstrap
from llmrec.exposures.paths import events_path
from llmrec.features.arrays import Floats
from llmrec.live.event_log import EventLog, Fact, open_event_log
from llmrec.live.log_point import LogPoint
from llmrec.live_bundle import LogFile
from llmrec.refresh.book import Plan, RefreshBook
from llmrec.refresh.compare import Asked, served_values
from llmrec.refresh.gather import Serving, gather, write
from llmrec.refresh.stages import held_out, make_candidate, point_of
from llmrec.schema import DAY_MS, C
from llmrec.storage import Artifact, Storage

MONTH = 30 * DAY_MS
STAGES = {"refresh": ("examples", "models", "bundle"), "retrain": ("validation", "test", "models", "bundle")}


@dataclass
class World:
    """A seed's corpus: what lies in files, and what comes by the log."""

    config: RunConfig
    storage: Storage
    later: pa.Table  # reviews from the month on
    month_ends: int
    active: set[str] = field(default_factory=set)  # users with an event in the month


def world(root: str, seed: int, users: int, test: int, epochs: int) -> World:
    """Files of all before the month; after it come `test` events."""
    sample = SampleConfig(n_users=users, n_items=1000, n_reviews=10 * users, seed=seed)
    reviews, items = (sample_table(sample, kind) for kind in ("reviews", "items"))
    times = np.sort(reviews[C.TIMESTAMP].to_numpy())
    ends = int(times[-test])
    folder = Path(root) / f"seed-{seed}"
    folder.mkdir(parents=True, exist_ok=True)
    begins = pa.scalar(ends - MONTH)
    pq.write_table(reviews.filter(pc.less(reviews[C.TIMESTAMP], begins)), folder / "reviews.parquet")
    pq.write_table(items, folder / "items.parquet")
    config = RunConfig.model_validate({
        "name": f"seed-{seed}", "storage": str(folder), "seed": seed,
        "corpus": {"source": "table", "reviews": f"{folder}/reviews.parquet", "items": f"{folder}/items.parquet"},
        "encoding": {"encoder": {"backend": "tfidf_svd", "dimension": 64}},
        "training": {"workers": 0}, "serving": {"live": {"enabled": True}}, "refresh": {"epochs": epochs},
    })  # fmt: skip
    later = reviews.filter(pc.greater_equal(reviews[C.TIMESTAMP], begins))
    month = later.filter(pc.less(later[C.TIMESTAMP], pa.scalar(ends)))
    return World(config, Storage(str(folder)), later, ends, set(month[C.USER_ID].to_pylist()))


@dataclass
class Stopwatch:
    """Processor seconds and seconds of stages by `WHO.STAGE`, kept in a file: a stage that was found took none."""

    path: Path
    seconds: dict[str, list[float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.path.exists():
            self.seconds = json.loads(self.path.read_text())
        self.start()

    def start(self) -> None:
        self._at = time.process_time(), time.perf_counter()

    def lap(self, name: str, artifact: Artifact) -> Artifact:
        now = time.process_time(), time.perf_counter()
        if not artifact.reused:
            self.seconds[name] = [now[0] - self._at[0], now[1] - self._at[1]]
            self.path.write_text(json.dumps(self.seconds))
        print(name, self.seconds.get(name), flush=True)
        self.start()
        return artifact

    def total(self, who: str, stages: tuple[str, ...], which: int) -> float:
        return sum(self.seconds[f"{who}.{stage}"][which] for stage in stages)


def fit(w: World, config: RunConfig, parents: tuple[Artifact, Artifact], watch: Stopwatch, who: str) -> Artifact:
    """Featurize both folds, train, assemble: the whole of a fit."""
    watch.start()
    early, last = (
        watch.lap(f"{who}.{fold}", features.featurize(config, w.storage, *parents, fold))
        for fold in ("validation", "test")
    )
    models = watch.lap(f"{who}.models", training.train(config, w.storage, early, last, ("text",))["text"])
    return watch.lap(f"{who}.bundle", bundle.assemble(config, w.storage, last, models))


def logged(w: World, vectors: Artifact) -> EventLog:
    """The log with all from the month on, words with the encoder's vectors."""
    log = open_event_log(events_path(w.config, w.storage.root, w.config.name))
    if log.last():
        return log
    rows = w.later.sort_by(C.TIMESTAMP).to_pylist()
    log.append([[_fact(n, row) for n, row in enumerate(rows)]])
    encoder = encoding.make_encoder(encoding.encoder_config(vectors))
    seqs = [n + 1 for n, row in enumerate(rows) if row[C.TEXT] or row[C.TITLE]]
    texts = [encoding.review_text(None, _words(rows[n - 1])) for n in seqs]
    log.speak(vectors.manifest.info["fingerprint"], zip(seqs, encoder.encode(texts).vectors, strict=True))
    return log


def _words(row: dict[str, Any]) -> str | None:
    return "\n".join(part for part in (row[C.TITLE], row[C.TEXT]) if part) or None


def _fact(n: int, row: dict[str, Any]) -> Fact:
    said = {"user": row[C.USER_ID], "item": row[C.ITEM_ID], "stars": row[C.STARS], "words": _words(row)}
    return Fact("event", f"e{n}", said, said | {"time": row[C.TIMESTAMP]})


def plan_of(w: World, log: EventLog, serving: Artifact) -> Plan:
    """The turn that takes all of the log, and leaves what follows the month out."""
    book = RefreshBook(w.storage, w.config.name)
    if (plan := book.plan(1)) is not None:
        return plan
    known = Serving(dict.fromkeys(sorted(set(w.later[C.ITEM_ID].to_pylist())), 0.01))
    found, told = gather(log, log.last(), known, None, w.config.refresh.model_copy(update={"least_held": 1_000_000}))
    n_test = int((w.later[C.TIMESTAMP].to_numpy() >= w.month_ends).sum())
    plan = Plan(turn=1, bundle=serving.id, log=log.identity(), through=log.last(), events=len(found.passed()), held={},
                waiting=[], logged=write(f"{book.folder(1)}/rows", found), held_out=n_test,
                told=told)  # fmt: skip
    book.open(plan)
    return plan


def measure(w: World, queries: int) -> dict[str, Any]:
    """One seed."""
    connect(w.storage)
    rows = corpus.ingest(w.config, w.storage)
    vectors = encoding.encode(w.config, w.storage, rows)
    served = w.config.model_copy(update={"encoding": w.config.encoding.model_copy(
        update={"encoder": encoding.encoder_config(vectors)})})  # fmt: skip
    log = logged(w, vectors)
    watch = Stopwatch(Path(w.storage.root) / "seconds.json")
    serving = fit(w, served, (rows, vectors), watch, "stale")
    registry.publish(w.storage, serving, w.config.name)
    plan = plan_of(w, log, serving)
    whole = served.model_copy(update={"corpus": served.corpus.model_copy(update={"logged": tuple(plan.logged)})})
    parents = (merged := corpus.ingest(whole, w.storage)), encoding.encode(whole, w.storage, merged)
    watch.start()
    made = make_candidate(
        served, w.storage, plan, serving, bundle.read_settings(serving.root),
        lambda stage, found, _: (watch.lap(f"refresh.{stage}", found[stage]), None)[1],
    )  # fmt: skip
    split = made["examples"].manifest.config["split"]
    retrain = whole.model_copy(update={"split": SplitConfig(
        validation_quantile=split["test_quantile"] * 8 / 9, test_quantile=split["test_quantile"])})  # fmt: skip
    anew = fit(w, retrain, parents, watch, "retrain")
    asked = held_out(made).thinned(queries)
    bundles = {"refresh": made["bundle"], "retrain": anew, "stale": serving}
    file, point = LogFile(log.path, 1_000_000, 0.1), point_of(plan)
    values = {name: _values(w, b, file, point, asked) for name, b in bundles.items()}
    return {"asked": asked, "values": values, "watch": watch, "active": w.active}


def _values(w: World, made: Artifact, file: LogFile, point: LogPoint, asked: Asked) -> Floats:
    """Kept in a file, as they take minutes."""
    path = Path(w.storage.root) / f"values-{made.id}-{len(asked)}.npy"
    if not path.exists():
        np.save(path, served_values(made, file, point, asked, 200))
    found: Floats = np.load(path)
    return found


def ratio(one: Floats, other: Floats, asked: Asked) -> dict[str, Any]:
    """Σ one / Σ other with its interval: of the linearised difference, clustered by user and item."""
    users, items = (np.unique(ids, return_inverse=True)[1].astype(np.int64) for ids in (asked.users, asked.items))
    value = one.mean() / other.mean()
    found = Bootstrap(users, 2, 0, items).mean((one - value * other) / other.mean()).estimate(0.95)
    assert found.low is not None and found.high is not None
    return {"ratio": round(value, 4), "low": round(value + found.low, 4), "high": round(value + found.high, 4),
            "queries": len(asked)}  # fmt: skip


def pooled(measured: list[dict[str, Any]], seeds: list[int]) -> tuple[Asked, dict[str, Floats], np.ndarray]:
    """All seeds' queries; users and items of another seed are others."""
    users = [f"{s}:{u}" for s, m in zip(seeds, measured, strict=True) for u in m["asked"].users]
    items = [f"{s}:{i}" for s, m in zip(seeds, measured, strict=True) for i in m["asked"].items]
    asked = Asked(users, items, np.concatenate([m["asked"].times for m in measured]))
    idle = np.array([u not in m["active"] for m in measured for u in m["asked"].users])
    return asked, {n: np.concatenate([m["values"][n] for m in measured]) for n in measured[0]["values"]}, idle


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--seeds", default="7,8,9")
    arguments.add_argument("--queries", type=int, default=2_000, help="of a seed")
    arguments.add_argument("--users", type=int, default=2_000, help="of a seed's corpus, of ten reviews each")
    arguments.add_argument("--epochs", type=int, default=3, help="refresh.epochs")
    arguments.add_argument("--storage", help="kept, and gone on from; a temporary folder where left out")
    args = arguments.parse_args()
    torch.set_num_threads(1)
    seeds = [int(seed) for seed in args.seeds.split(",")]
    with tempfile.TemporaryDirectory() as scratch:
        root = args.storage or scratch
        measured = [measure(world(root, s, args.users, args.queries, args.epochs), args.queries) for s in seeds]
    asked, values, idle = pooled(measured, seeds)
    some = Asked([u for u, i in zip(asked.users, idle, strict=True) if i],
                 [x for x, i in zip(asked.items, idle, strict=True) if i], asked.times[idle])  # fmt: skip
    cpu, wall = ({who: round(sum(m["watch"].total(who, stages, n) for m in measured), 1)
                  for who, stages in STAGES.items()} for n in (0, 1))  # fmt: skip
    print(json.dumps({
        "benchmark": "refresh", "seeds": seeds, "epochs": args.epochs, "queries": len(asked),
        "ndcg@10": {name: round(float(v.mean()), 5) for name, v in values.items()},
        "quality": ratio(values["refresh"], values["retrain"], asked),
        "against_stale": ratio(values["refresh"], values["stale"], asked),
        "forgetting": ratio(values["refresh"][idle], values["stale"][idle], some),
        "time": round(cpu["refresh"] / cpu["retrain"], 3), "processor_seconds": cpu, "seconds": wall,
    }))  # fmt: skip


if __name__ == "__main__":
    main()
