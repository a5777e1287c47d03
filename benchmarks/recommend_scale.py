"""A known user's whole answer over a large catalogue against a small one: both stages, in one process.

    python -m benchmarks.recommend_scale [--items 1000000 --small 10000 --users 200]

Corpora of the built-in generator with random vectors of 384 numbers, as many users and reviews whatever the catalogue
is. Features are what `featurize` makes; two-tower and dcnv2 have random weights, which answer as fast as learned ones.
The large catalogue is searched by the graph, the small one exactly; 200 candidates are ranked. Requests come one by
one, each from another user, at the bundle's clock, whose states are remembered as the server does. HTTP and Serve's
hops are not in it: `benchmarks.serve` has them. The last line is JSON:
{"benchmark": "recommend_scale", "items": …, "p50_ms": …, "ratio_vs_small": …, "first_stage_ms": …, "recall": …}.
"""

import argparse
import json
import logging
import os
import statistics
import tempfile
import time
from dataclasses import dataclass

import faiss
import numpy as np
import psutil
import torch

from benchmarks.featurize_stage import make_inputs
from llmrec.bundle import last_time
from llmrec.config import RunConfig, TrainingConfig
from llmrec.config.data.corpus import SampleConfig
from llmrec.config.serving.approximate import ApproximateConfig
from llmrec.features import featurize
from llmrec.models.base import ModelContext
from llmrec.models.blenders.prior_correction import LOGIT, popularity_columns
from llmrec.models.files.store import fit_data, make_model
from llmrec.models.retrievers.nearest.retriever import NearestRetriever
from llmrec.recommender import FittedModels, Recommender
from llmrec.storage import Storage
from llmrec.training.fit import load_context, models_of, role_of

USERS, REVIEWS, K = 2_000, 20_000, 10


@dataclass(frozen=True)
class Times:
    """Milliseconds of each request, whole and of its first stage; seconds and MiB of what was made before."""

    whole: list[float]
    first: list[float]
    ready_s: float
    mib: float
    recall: float
    candidates: int


def made_context(folder: str, n_items: int) -> ModelContext:
    """What the features of a corpus with so many items know."""
    import ray

    from jobs.cluster import start_local

    storage, config = Storage(folder), RunConfig(storage=folder)
    start_local(2, log_to_driver=False, configure_logging=False)
    size = SampleConfig(n_users=USERS, n_items=n_items, n_reviews=REVIEWS)
    examples = featurize(config, storage, *make_inputs(storage, size), "test")
    ray.shutdown()
    return load_context(examples, "text")


def random_models(context: ModelContext) -> FittedModels:
    """Networks as they begin, blended as theory says before any query is seen."""
    torch.manual_seed(7)
    config = TrainingConfig(ranker="dcnv2", blender="prior_correction")
    fitted = {key: make_model(role_of(key), c, context) for key, c in models_of(config).items()}
    columns = popularity_columns(context.history.settings.popularity_days)
    blender = make_model("blender", config.blender, context)
    blender.fit((*(c.name for c in config.retrievers), LOGIT, *columns), [], [])
    calibrator = make_model("calibrator", config.calibrator, context)
    calibrator.restore({"x": np.zeros(0), "y": np.zeros(0)}, fit_data(context, calibrator))
    return FittedModels.of_keys(fitted, blender, calibrator, columns[0], {})


def measure(context: ModelContext, approximate: ApproximateConfig | None, users: int) -> Times:
    """Requests of as many users who are known, one by one."""
    before, started = psutil.Process().memory_info().rss, time.perf_counter()
    clock = last_time(context.history)
    recommender = Recommender(random_models(context), context, approximate=approximate, clock=clock)
    among, times = recommender.context.listable.at(clock), np.array([clock])
    known = np.unique(context.history.data.user_rows)
    asked = np.random.default_rng(7).permutation(known)[: users + 3]

    def answer(row: int) -> tuple[float, float]:
        begun = time.perf_counter()
        state = recommender.user(context.history.user_ids[row], clock, context.history.request_contexts({}))
        found = recommender.retrieve(state, times, recommender.n_retrieve, among=among)
        between = time.perf_counter()
        rows, _ = recommender.order(state, times, found, K)
        assert (rows >= 0).all() and not recommender.by_popularity(state)[0]
        return 1_000 * (time.perf_counter() - begun), 1_000 * (between - begun)

    faiss.omp_set_num_threads(os.cpu_count() or 1)
    for row in asked[:3].tolist():  # the first one makes the index
        answer(row)
    ready = time.perf_counter() - started
    faiss.omp_set_num_threads(1)
    took = [answer(row) for row in asked[3:].tolist()]
    mib = (psutil.Process().memory_info().rss - before) / 2**20
    (retriever,) = recommender.models.retrievers.values()
    assert isinstance(retriever, NearestRetriever)
    recall = retriever.item_index(clock // retriever.refresh_ms).recall
    return Times([whole for whole, _ in took], [first for _, first in took], ready, mib, recall, among.count)


def main() -> None:
    """Measure the small catalogue and the large one, and print one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("items", 1_000_000), ("small", 10_000), ("users", 200)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--folder", help="keep the corpora here, to use them again")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s: %(message)s")
    torch.set_num_threads(1)
    found = {}
    with tempfile.TemporaryDirectory(prefix="llmrec-scale-") as temporary:
        for n in (options.small, options.items):
            context = made_context(options.folder or temporary, n)
            approximate = ApproximateConfig(above=options.small + 1) if n > options.small else None
            t = found[n] = measure(context, approximate, options.users)
            print(f"{n:,} items, {t.candidates:,} candidates: p50 {statistics.median(t.whole):.2f} ms, p99 "
                  f"{np.percentile(t.whole, 99):.2f}, first stage {statistics.median(t.first):.2f}; ready in "
                  f"{t.ready_s:.0f} s, {t.mib:,.0f} MiB", flush=True)  # fmt: skip
    small, large = found[options.small], found[options.items]
    print(json.dumps({
        "benchmark": "recommend_scale", "items": options.items, "p50_ms": round(statistics.median(large.whole), 2),
        "ratio_vs_small": round(statistics.median(large.whole) / statistics.median(small.whole), 2),
        "first_stage_ms": round(statistics.median(large.first), 2), "recall": round(large.recall, 4),
        "mib": round(large.mib),
    }))  # fmt: skip


if __name__ == "__main__":
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    main()
