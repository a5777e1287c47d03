"""Examples a second of training: Ray Train against a plain loop, our networks against torch-rechub's and RecTools'.

    .venv/bin/python -m benchmarks.train [--users N] [--items N] [--reviews N] [--pairs P] [--runs R] [--only NAME …]

On the built-in corpus by ingest, encode (tfidf_svd) and featurize; every process on one torch thread. `ratio`: examples
a second of ours over theirs, the median of pairs that take turns; `cpu_ratio` the same by the clock of the processes,
which other work on the machine does not lengthen as much; `rate` and `rival_rate` by the wall; `peak_mb` of a process,
libraries included; `range` of the pairs; `load` of the machine over 15 minutes. The last line is JSON.

`ray`: `run_plans` of a two-tower and a DeepFM, without validation, by `run_workers` (one worker, as `run_on_ray` starts
it; its reports with checkpoints are in) against the same loop in a process of its own. An epoch lasts from the end of
the one before; the median one counts. `startup`: from the order to the first epoch, beyond its seconds. The
plain loop runs beside the idle local cluster.

The others: an epoch each in turns after one to warm up, by the rivals' own trainers (`make rivals`), same rows, dims,
hidden widths, dropout, batch, optimiser (AdamW; RecTools: its Adam) and rates. What is not the same:

- `deepfm`: their factorisation machine crosses ids and history, ours the dense columns too (more work here); their
  hidden layers have BatchNorm (more work there) and they embed each batch twice.
- `two_tower`: their DSSM; both take the batch's other rows as negatives, for theirs has no other form. Ours draws none
  beside, but has a bias, a wide path, the logQ correction and exclusions; theirs has BatchNorm and shuffles negatives.
- `deepfm_batches`, `two_tower_batches`: theirs on batches that are tensors already, without its loader; ours as it is.
- `sasrec`: their blocks of the same form and width as ours. Theirs draws the negatives for each place, ours once for a
  batch, and ours takes the batch's other targets beside. An example is a target; theirs are each user's last ones,
  those of padded places computed too; ours all that a request could have asked for, in windows that overlap by half.
- `sasrec_as_it_comes`: their narrower default blocks, and their default loss, the softmax over all items.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

from benchmarks.common import RIVAL_PYTHON, RivalProcess
from benchmarks.train_loop_rival import VARIANT, examples_of, looped
from benchmarks.train_rivals import Order, Trained, answer, clocked
from jobs.cluster import connect
from llmrec import corpus, encoding, features
from llmrec.config import RunConfig
from llmrec.config.models import model_config
from llmrec.features.asof.events import flatten
from llmrec.features.dataset.rows import read_examples
from llmrec.models.base import ModelContext
from llmrec.models.files.store import make_model
from llmrec.models.networks.epochs import optimization_of
from llmrec.storage import Artifact, Storage
from llmrec.training.fit import load_context
from llmrec.workers.process_group import ProcessGroup

#: Settings of ours; what is not named is by default, on both sides.
MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "deepfm": ("ranker", {"id_dropout": 0.0}),
    "two_tower": ("retriever", {"id_dropout": 0.0, "sampled_negatives": 0}),
    "sasrec": ("retriever", {"inputs": "ids", "time_gaps": False, "sampled_negatives": 256, "batch_size": 64}),
}
#: What is paired: the kind, and what the rival is told beside.
PAIRS: dict[str, tuple[str, Order]] = {
    "deepfm": ("deepfm", {"loader": True}), "deepfm_batches": ("deepfm", {"loader": False}),
    "two_tower": ("two_tower", {"loader": True}), "two_tower_batches": ("two_tower", {"loader": False}),
    "sasrec": ("sasrec", {"as_it_comes": False}), "sasrec_as_it_comes": ("sasrec", {"as_it_comes": True}),
}  # fmt: skip
NAMES = ("ray", *PAIRS)


def settings(kind: str) -> Any:
    """Of ours."""
    role, own = MODELS[kind]
    return model_config(role, {"name": kind, **own})  # type: ignore[arg-type]


def featurized(storage: Storage, users: int, items: int, reviews: int) -> Artifact:
    """The test fold of the built-in corpus."""
    config = RunConfig.model_validate({
        "name": "train", "storage": storage.root, "training": {"workers": 0},
        "corpus": {"source": "sample", "sample": {"n_users": users, "n_items": items, "n_reviews": reviews}},
        "encoding": {"encoder": {"backend": "tfidf_svd", "dimension": 64}},
    })  # fmt: skip
    connect(storage)  # of our own: Ray would else join the latest cluster on the machine
    rows = corpus.ingest(config, storage)
    return features.featurize(config, storage, rows, encoding.encode(config, storage, rows), "test")


def ours(order: Order) -> Trained:
    """A model of ours, as a fit in this process trains it."""
    c, examples = settings(order["kind"]), examples_of(order["root"])
    model = make_model(MODELS[order["kind"]][0], c, load_context(examples, VARIANT))  # type: ignore[arg-type]
    task = model.fit_task(examples, ProcessGroup(), False)
    optimizer, rng = optimization_of(task, c), np.random.default_rng(7)
    n = {"deepfm": lambda: len(task.rows), "two_tower": lambda: len(task.data.positives),
         "sasrec": lambda: len(task.windows.targets)}[order["kind"]]()  # fmt: skip
    return Trained(n, lambda: clocked(lambda: task.epoch(optimizer, rng)))


def rows_of(kind: str, examples: Artifact, context: ModelContext) -> dict[str, Any]:
    """What a model of ours learns from, as arrays for the rival."""
    if kind == "sasrec":
        return events_of(context)
    towers, chosen, length = kind == "two_tower", context.selection, context.history_length
    rows = read_examples(examples, "train", chosen, length, clicks_only=towers, with_pairs=not towers, with_ids=False)
    dense = {"user_dense": rows.user, "item_dense": rows.item} if towers else {"dense": rows.dense}
    return {"user": rows.user_idx, "item": rows.item_idx, "history": rows.history, "click": rows.click, **dense}


def events_of(context: ModelContext) -> dict[str, Any]:
    """All events of users before the cut-off."""
    history, events = context.history, context.history.users.events
    users = np.arange(1, len(history.user_ids))
    span = events.span(users, np.full(len(users), context.spec.cutoff))
    positions, bounds = flatten(span.begin, span.end)
    return {"user": np.repeat(users, np.diff(bounds)), "item": history.data.item_rows[events.order[positions]],
            "time": events.times[positions]}  # fmt: skip


def order_of(kind: str, root: str) -> Order:
    """What the rival is told; its rows are left in a file beside the examples in `root`."""
    examples, c = examples_of(root), settings(kind)
    context, file = load_context(examples, VARIANT), f"{Path(root).parents[1]}/{kind}.npz"
    rows = rows_of(kind, examples, context)
    np.savez(file, allow_pickle=False, **rows)
    widths = {name: values.shape[1] for name, values in rows.items() if name.endswith("dense")}
    dim = c.embedding_dim if kind == "deepfm" else c.dim
    return {"kind": kind, "rows": file, "settings": c.model_dump(mode="json"), "dim": dim, **widths,
            "n_users": context.spec.n_users, "n_items": context.spec.n_items,
            "length": context.history_length}  # fmt: skip


def paired(kind: str, beside: Order, root: str, pairs: int) -> dict[str, Any]:
    """Our model and the rival's, an epoch each in turns."""
    sides = {
        "ours": RivalProcess(sys.executable, "train.py", "--ours", OMP_NUM_THREADS="1"),
        "rival": RivalProcess(RIVAL_PYTHON, "train_rivals.py", OMP_NUM_THREADS="1"),
    }
    orders = {"ours": {"kind": kind, "root": root}, "rival": order_of(kind, root) | beside}
    n = {side: process.ask(**orders[side])["examples"] for side, process in sides.items()}
    turns: list[dict[str, dict[str, float]]] = []
    for turn in range(pairs + 1):
        named = list(sides.items())[:: 1 if turn % 2 else -1]
        turns.append({side: process.ask() for side, process in named})
        print(kind, beside, {side: _rounded(t) for side, t in turns[-1].items()}, flush=True)
    for process in sides.values():
        process.close()
    last = {side: turns[-1][side]["peak_mb"] for side in sides}
    clocks = {clock: {side: [n[side] / t[side][clock] for t in turns[1:]] for side in sides}
              for clock in ("seconds", "cpu")}  # fmt: skip
    return {
        **compared(*clocks["seconds"].values(), *clocks["cpu"].values()),
        "peak_mb": list(map(round, last.values())),
    }


def compared(ours: list[float], theirs: list[float], cpu: list[float], their_cpu: list[float]) -> dict[str, Any]:
    """Examples a second, turn by turn, as figures; those after `cpu` by the clock of the processes."""
    ratios, by_cpu = ([a / b for a, b in zip(*pair, strict=True)] for pair in ((ours, theirs), (cpu, their_cpu)))
    return {
        "ratio": round(statistics.median(ratios), 2), "range": [round(f(ratios), 2) for f in (min, max)],
        "cpu_ratio": round(statistics.median(by_cpu), 2), "cpu_range": [round(f(by_cpu), 2) for f in (min, max)],
        "rate": round(statistics.median(ours)), "rival_rate": round(statistics.median(theirs)),
    }  # fmt: skip


def _rounded(values: Mapping[str, float]) -> dict[str, float]:
    return {name: round(value, 3) for name, value in values.items()}


def ray_or_plain(loop: str, root: str, epochs: int) -> dict[str, float]:
    """`looped`: Ray's from this process, the plain one in a process of its own."""
    order = {"root": root, "epochs": epochs, "began": time.time()}
    if loop == "ray":
        return looped(loop, order)
    process = RivalProcess(sys.executable, "train_loop_rival.py", OMP_NUM_THREADS="1")
    found = process.ask(**order)
    process.close()
    return found


def ray(root: str, runs: int, epochs: int) -> dict[str, Any]:
    """Ray Train and a plain loop in turns."""
    turns, loops = list[dict[str, dict[str, float]]](), ("ray", "plain")
    for turn in range(runs):
        turns.append({loop: ray_or_plain(loop, root, epochs) for loop in loops[:: 1 if turn % 2 else -1]})
        print("ray", {loop: _rounded(t) for loop, t in turns[-1].items()}, flush=True)
    examples, context = examples_of(root), load_context(examples_of(root), VARIANT)
    n = sum(len(rows_of(kind, examples, context)["click"]) for kind in ("deepfm", "two_tower"))
    middle = {loop: {k: statistics.median(t[loop][k] for t in turns) for k in turns[0][loop]} for loop in loops}
    rates = [[n / t[loop][clock] for t in turns] for clock in ("seconds", "cpu") for loop in loops]
    return {
        **compared(*rates), "peak_mb": [round(middle[loop]["peak_mb"]) for loop in loops],
        "startup_seconds": [round(middle[loop]["startup"], 1) for loop in loops],
    }  # fmt: skip


def measured(name: str, root: str, options: argparse.Namespace) -> dict[str, Any] | None:
    """One of NAMES; None where the rivals are not installed."""
    if name == "ray":
        return ray(root, options.runs, options.epochs)
    if not RIVAL_PYTHON.exists():
        print(f"{name}: the rivals are not installed (make rivals)", flush=True)
        return None
    kind, beside = PAIRS[name]
    return paired(kind, beside, root, options.pairs)


def main() -> None:
    """Measure what is asked for, and print one line of JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    for name, value in {"users": 1000, "items": 800, "reviews": 10_000, "pairs": 7, "runs": 3, "epochs": 5}.items():
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--only", nargs="+", choices=NAMES, default=NAMES)
    parser.add_argument("--storage", help="kept; a temporary folder where left out")
    parser.add_argument("--ours", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.ours:
        answer(ours)
        return
    with tempfile.TemporaryDirectory() as scratch:
        storage = Storage(options.storage or scratch)
        root = featurized(storage, options.users, options.items, options.reviews).root
        found = {name: measured(name, root, options) for name in options.only}
    sizes = {name: getattr(options, name) for name in ("users", "items", "reviews", "pairs", "runs")}
    load = {"cores": os.cpu_count(), "load": round(os.getloadavg()[2], 1)}
    print(json.dumps({"benchmark": "train", **sizes, **load, **found}, separators=(",", ":")))


if __name__ == "__main__":
    main()
