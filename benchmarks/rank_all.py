"""Lists for every user who is asked, by two stages: ours beside the pipeline of implicit and RecTools.

    python -m benchmarks.rank_all [--users 100000 --items 100000 --events 500000 --asked 5000 --rounds 3]

A corpus of the built-in generator with random vectors of 384 numbers; `make rivals` first. Both fit iALS with the same
settings on the events before T2 and bring 200 candidates a user, which trees put in order. Theirs is RecTools'
`CandidateRankingModel` over implicit's ALS with scikit-learn's boosted trees, which read what that pipeline gives them,
the candidate's score and rank. Ours is `Recommender.recommend`, as `jobs.recommend` runs it, with `lambdarank`, which
reads all features of words and behaviour as of T2; its seconds include the facts of all items, computed once. One
query is a user of the test who was known before T2, one thread each, in turns; fits are stated apart. NDCG@10 is of the
user's first item from T2 on that they had not had.
The last line is JSON: {"benchmark": "rank_all", "queries": …, "ms_a_query": …, "ratio_vs_rectools": …, …}.
"""

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.common import RIVAL_PYTHON, RivalProcess
from benchmarks.featurize_stage import make_inputs
from jobs.recommend import USERS_A_BLOCK
from llmrec.bundle import load_models
from llmrec.config import RunConfig
from llmrec.config.data.corpus import SampleConfig
from llmrec.corpus.splits import cutoffs
from llmrec.features import featurize
from llmrec.models.base import ModelContext
from llmrec.models.files.models_file import SUMMARY, ModelsFile
from llmrec.recommender import FittedModels, Recommender
from llmrec.storage import Storage
from llmrec.training import train
from llmrec.training.fit import load_context

K, CANDIDATES = 10, 200
VARIANT = "text"
Ints = npt.NDArray[np.int64]


def configured(folder: str) -> RunConfig:
    """Two stages of what the rival has too, fitted without Ray Train."""
    blender = {"name": "conditional_logit", "guard": False}  # random words teach nothing, and popularity would order
    training = {"retrievers": ["ials"], "ranker": "lambdarank", "blender": blender, "workers": 0}
    split = {"validation_quantile": 0.895, "test_quantile": 0.9}  # a few thousand queries are enough for the blend
    own = {"storage": folder, "training": training, "split": split, "serving": {"retrieve": CANDIDATES}}
    return RunConfig.model_validate(own)


def made_models(
    config: RunConfig, storage: Storage, size: SampleConfig
) -> tuple[FittedModels, ModelContext, dict[str, float]]:
    """The fitted models and what they read, made once; and the seconds of each step."""
    import ray

    from jobs.cluster import start_local

    start_local(2, log_to_driver=False, configure_logging=False)
    took, started = dict[str, float](), time.perf_counter()
    inputs = make_inputs(storage, size)
    took["inputs"] = time.perf_counter() - started
    folds = [featurize(config, storage, *inputs, fold) for fold in ("validation", "test")]
    took["featurize"] = time.perf_counter() - started - took["inputs"]
    models = train(config, storage, folds[0], folds[1], (VARIANT,))[VARIANT]
    took["train"] = time.perf_counter() - started - took["inputs"] - took["featurize"]
    ray.shutdown()
    context = load_context(folds[1], VARIANT)
    file = ModelsFile.model_validate(models.json(SUMMARY))
    return load_models(models.uri(SUMMARY).removesuffix(f"/{SUMMARY}"), file, context), context, took


class Questions:
    """Users (Q,) and T2; `truth` (Q,): the first item of each from then on that they had not had."""

    def __init__(self, context: ModelContext, config: RunConfig, asked: int) -> None:
        data = context.history.data
        self.time = int(np.ceil(cutoffs(data.times, config.split).t2))
        before = data.times < self.time
        had = set(zip(data.user_rows[before].tolist(), data.item_rows[before].tolist(), strict=True))
        known, first = set(data.user_rows[before].tolist()), dict[int, int]()
        for user, item in zip(data.user_rows[~before].tolist(), data.item_rows[~before].tolist(), strict=True):
            if user in known and (user, item) not in had:
                first.setdefault(user, item)
        chosen = np.random.default_rng(7).permutation(sorted(first))[:asked]
        self.users, self.truth = chosen, np.array([first[user] for user in chosen.tolist()])
        self.known = {"user": data.user_rows[before], "item": data.item_rows[before], "time": data.times[before]}


def ours(models: FittedModels, context: ModelContext, asked: Questions) -> dict[str, float]:
    """Seconds by the wall and of CPU for all lists, and their NDCG@10."""
    started, used, lists = time.perf_counter(), time.process_time(), []
    recommender = Recommender(models, context, retrieve=CANDIDATES, clock=asked.time)
    for begin in range(0, len(asked.users), USERS_A_BLOCK):
        users = asked.users[begin : begin + USERS_A_BLOCK]
        times = np.full(len(users), asked.time, np.int64)
        among = recommender.context.listable.at(asked.time)
        lists.append(recommender.recommend(recommender.history.users_at(users, times), times, K, among=among)[0])
    took = {"seconds": time.perf_counter() - started, "cpu": time.process_time() - used}
    return took | {"ndcg": ndcg(np.concatenate(lists), asked.truth)}


def ndcg(lists: Ints, truth: Ints) -> float:
    """Mean over Q lists (Q, k) of 1 / log2(1 + rank) of the one item that is right."""
    query, place = np.nonzero(lists == truth[:, None])
    return float(np.sum(1 / np.log2(place + 2)) / len(truth)) if len(query) else 0.0


def begin_rival(folder: Path, config: RunConfig, asked: Questions) -> tuple[RivalProcess, float]:
    """A process with the pipeline fitted, and the seconds of that."""
    file = folder / "known.npz"
    np.savez(file, allow_pickle=False, asked=asked.users, truth=asked.truth, **asked.known)
    settings = config.training.retrievers[0].model_dump(exclude={"name"})
    rival = RivalProcess(RIVAL_PYTHON, "rank_all_rival.py")
    return rival, rival.ask(events=str(file), settings=settings, candidates=CANDIDATES, k=K)["fit"]


def main() -> None:
    """Fit both, ask both in turns, and print one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("users", 100_000), ("items", 100_000), ("events", 500_000), ("asked", 5_000), ("rounds", 3)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--folder", help="keep the corpus and the models here, to use them again")
    options = parser.parse_args()
    size = SampleConfig(n_users=options.users, n_items=options.items, n_reviews=options.events)
    with tempfile.TemporaryDirectory(prefix="llmrec-rank-all-") as temporary:
        folder = options.folder or temporary
        config, storage = configured(folder), Storage(folder)
        models, context, took = made_models(config, storage, size)
        print("ours: " + ", ".join(f"{step} {seconds:.0f} s" for step, seconds in took.items()), flush=True)
        asked = Questions(context, config, options.asked)
        rival, fit = begin_rival(Path(temporary), config, asked)
        print(f"theirs: fit {fit:.0f} s", flush=True)
        turns = [measured(partial(ours, models, context, asked), rival, turn) for turn in range(options.rounds)]
        rival.close()
    print(json.dumps(summary(turns, len(asked.users), options)))


def measured(
    ours: Callable[[], dict[str, float]], rival: RivalProcess, turn: int
) -> tuple[dict[str, float], dict[str, float]]:
    """Both once, who begins taking turns."""
    first = ours() if turn % 2 == 0 else None
    other = rival.ask(recommend=True)
    mine = first or ours()
    print(f"ours: {mine}\ntheirs: {other}", flush=True)
    return mine, other


def summary(turns: list[tuple[dict[str, float], dict[str, float]]], n: int, options: Any) -> dict[str, object]:
    """Medians over the turns."""

    def median(part: str, who: int) -> float:
        return statistics.median(turn[who][part] for turn in turns)

    return {
        "benchmark": "rank_all", "users": options.users, "items": options.items, "queries": n,
        "ms_a_query": round(1_000 * median("seconds", 0) / n, 2),
        "ratio_vs_rectools": round(statistics.median(b["seconds"] / a["seconds"] for a, b in turns), 2),
        "cpu_ratio": round(statistics.median(b["cpu"] / a["cpu"] for a, b in turns), 2),
        "ndcg": round(median("ndcg", 0), 4), "ndcg_rectools": round(median("ndcg", 1), 4),
        "peak_mb_rectools": round(median("peak_mb", 1)),
    }  # fmt: skip


if __name__ == "__main__":
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    main()
