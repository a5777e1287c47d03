"""The first stage over a large catalogue: by the graph against exact search, and against a small catalogue.

Items are clustered vectors from a fixed generator (1,000 centres), or independent Gaussian ones, each with a bias as
the two-tower's have; users lie near items. Requests go through `models.retrieval.retrieve`, as the server's do: who is
a candidate, the search, the k best. The ranker is not in it: it sees as many candidates whatever the catalogue's size.
The last line is JSON: {"benchmark": "catalogue", "items": …, "p50_ms": …, "ratio_vs_small": …, "recall_at_50": …}.
"""

import argparse
import json
import time

import faiss
import numpy as np
import numpy.typing as npt
import psutil

from llmrec.config.serving.approximate import ApproximateConfig
from llmrec.features.asof.interactions import AsOf, Interactions
from llmrec.features.asof.item_sets import ItemSet
from llmrec.models.base import Bools, Floats, Ints, Requests
from llmrec.models.retrieval import retrieve
from llmrec.models.retrievers.nearest.item_index import ItemIndex
from llmrec.models.topk import top_rows

DIM, CENTRES, TEMPERATURE, K = 32, 1_000, 1.0, 200  # the two-tower's defaults
START = 1_600_000_000_000
ASKED = 256  # further users, by whom the graph is tuned


class Catalogue:
    """Stands for a retriever by vectors: `n` items and a user vector a request."""

    def __init__(self, n: int, users: int, clustered: bool, approximate: ApproximateConfig | None) -> None:
        self.items, draw = _items(n, clustered), np.random.default_rng(7)
        self.users = self._near(draw, users)
        started = time.perf_counter()
        self.index = ItemIndex(self.items)
        if approximate is not None:
            self.index.link(approximate, self._near(draw, ASKED))
        self.built_s = time.perf_counter() - started
        self.exactly = approximate is None

    def _near(self, draw: np.random.Generator, users: int) -> Floats:
        """(users, DIM + 1) vectors of users near items."""
        near = self.items[draw.integers(1, len(self.items), users), :-1]
        near = _unit(near + draw.normal(0, 0.5 / DIM**0.5, near.shape)) / TEMPERATURE
        return np.column_stack([near, np.ones(users)]).astype(np.float32)

    def retrieve_scores(self, requests: Requests, allowed: Bools) -> Floats:
        """(Q, n) as `NearestRetriever` gives them."""
        return self.index.scores(self.users[requests.users - 1], allowed)

    def search(self, requests: Requests, among: ItemSet, barred: list[Ints], k: int) -> tuple[Ints, Floats] | None:
        """As `NearestRetriever` does."""
        if self.exactly:
            return None
        found, data = self.index.nearest(self.users[requests.users - 1], among, barred, k), requests.as_of.data
        return top_rows(*found, k, data.user_hash[requests.users], data.item_hash)


def _unit(vectors: npt.NDArray[np.floating]) -> Floats:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)


def _items(n: int, clustered: bool) -> Floats:
    draw = np.random.default_rng(3)
    centres = draw.normal(size=(CENTRES, DIM)).astype(np.float32)
    found = np.empty((n, DIM + 1), np.float32)
    for start in range(0, n, 100_000):  # a part at a time: memory is measured
        some = found[start : start + 100_000]
        noise = draw.normal(size=(len(some), DIM)).astype(np.float32)
        around = centres[draw.integers(0, CENTRES, len(some))] if clustered else np.float32(0)
        some[:, :-1] = _unit(around + (0.5 if clustered else 1) * noise)
        some[:, -1] = draw.normal(0, 0.5, len(some))
    return found


def requests_of(n: int, users: int) -> Requests:
    """One request a user, each of whom had ten items."""
    draw = np.random.default_rng(5)
    user = np.repeat(np.arange(1, users + 1), 10)
    item, when = draw.integers(1, n, len(user)), START + np.arange(len(user))
    names, ids = [""] + [f"u{k}" for k in range(users)], [""] + [f"i{k}" for k in range(n - 1)]
    known = np.full(n, START, np.int64)
    known[0] = np.iinfo(np.int64).max
    data = Interactions(names, ids, user, item, when, np.full(len(user), 5, np.float32), known)
    return Requests(np.arange(1, users + 1), np.full(users, START + 10**9), AsOf(data))


def measured(catalogue: Catalogue, requests: Requests) -> tuple[Ints, list[float]]:
    """(Q, K) what is found for each request, asked one by one, and how long each took (ms)."""
    rows, took = [], []
    for q in range(len(requests)):
        one = requests.take(np.array([q]))
        started = time.perf_counter()
        among = one.as_of.data.known.at(int(one.times[0]))
        rows.append(retrieve(catalogue, one, K, among=among)[0][0])  # type: ignore[arg-type]
        took.append(1_000 * (time.perf_counter() - started))
    return np.stack(rows), took


def main() -> int:
    """Measure the small catalogue, then the large one by graph and exactly."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--items", type=int, default=1_000_000)
    arguments.add_argument("--small", type=int, default=10_000)
    arguments.add_argument("--users", type=int, default=200)
    arguments.add_argument("--gaussian", action="store_true", help="independent vectors instead of clustered ones")
    arguments.add_argument("--links", type=int, default=ApproximateConfig().links)
    arguments.add_argument("--ef-construction", type=int, default=ApproximateConfig().ef_construction)
    arguments.add_argument("--threads", type=int, default=2, help="that build the graph; requests use one")
    args = arguments.parse_args()
    faiss.omp_set_num_threads(args.threads)
    wanted = ApproximateConfig(links=args.links, ef_construction=args.ef_construction)
    times = {}
    for n in (args.small, args.items):
        requests = requests_of(n, args.users)
        before = psutil.Process().memory_info().rss
        catalogue = Catalogue(n, args.users, not args.gaussian, wanted if n > args.small else None)
        mib = (psutil.Process().memory_info().rss - before) / 2**20
        faiss.omp_set_num_threads(1)
        measured(catalogue, requests.take(np.arange(3)))  # hashes of ids are made once
        rows, took = measured(catalogue, requests)
        times[n] = float(np.median(took))
        print(f"{n:,} items: p50 {times[n]:.2f} ms, p99 {np.percentile(took, 99):.2f} ms, {mib:,.0f} MiB, "
              f"built in {catalogue.built_s:.1f} s", flush=True)  # fmt: skip
        faiss.omp_set_num_threads(args.threads)
    ef, told = catalogue.index.ef, catalogue.index.recall
    catalogue.exactly = True
    exact, took = measured(catalogue, requests)
    recall = np.mean([len(np.intersect1d(a[:50], b[:50])) / 50 for a, b in zip(rows, exact, strict=True)])
    print(f"{args.items:,} items, exactly: p50 {np.median(took):.2f} ms; tuned to ef {ef}, recall {told:.4f}")
    answer = {
        "benchmark": "catalogue", "items": args.items, "clustered": not args.gaussian,
        "p50_ms": round(times[args.items], 2), "ratio_vs_small": round(times[args.items] / times[args.small], 2),
        "recall_at_50": round(float(recall), 4), "ef": ef, "mib": round(mib),
    }  # fmt: skip
    print(json.dumps(answer))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
