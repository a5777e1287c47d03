"""Ranking metrics from factors against `implicit`'s top-k + RecTools' metrics, paired in one run.

    .venv/bin/python -m benchmarks.metrics [--users N] [--items N] [--rounds R]

20,000 users × 20,000 items as 64-d factors: seen items masked, top 50, recall, precision, hit rate, MRR, NDCG and MAP
at 10 and 50. Every round runs both sides, in turns, on the same file; `ratio_vs_rectools` is the median over rounds of
their seconds / ours, ours without intervals (as theirs are). `peak_mib` is the highest memory of all processes of this
benchmark together, the rival's included. Without RecTools in `.venv-rivals` (`make rivals`) the ratio is null.
"""

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import psutil
import scipy.sparse as sp

from benchmarks.common import RIVAL_PYTHON, RivalProcess, sampled
from llmrec.evaluation.ranking.topk import blocked_top_k
from llmrec.evaluation.statistics.bootstrap import Bootstrap
from llmrec.models.metrics import list_metrics
from llmrec.schema import id_hash

DIM, K, CUTOFFS, SEEN, RELEVANT, RESAMPLES = 64, 50, (10, 50), 20, 5, 1000
Arrays = dict[str, npt.NDArray[Any]]


def resident_mib() -> float:
    """Resident memory of this process and its children."""
    total, me = 0, psutil.Process()
    for process in (me, *me.children(recursive=True)):
        try:
            total += process.memory_info().rss
        except psutil.NoSuchProcess:
            continue
    return total / 2**20


def start_rival() -> RivalProcess:
    """`metrics_rivals.py`, with one thread of OpenBLAS, as implicit advises: it has threads of its own."""
    return RivalProcess(RIVAL_PYTHON, "metrics_rivals.py", OPENBLAS_NUM_THREADS="1")


def make_factors(n_users: int, n_items: int, seed: int = 7) -> Arrays:
    """Factors with some structure, what was seen, and relevant items that the factors know something about."""
    rng = np.random.default_rng(seed)
    users = rng.standard_normal((n_users, DIM), dtype=np.float32)
    items = rng.standard_normal((n_items, DIM), dtype=np.float32) * rng.gamma(2, 0.5, (n_items, 1)).astype(np.float32)
    drawn = rng.integers(n_items, size=(n_users, 40 + SEEN))
    order = np.argsort(-np.einsum("ud,ucd->uc", users, items[drawn[:, :40]]), axis=1)
    liked = np.take_along_axis(drawn[:, :40], order, axis=1)[:, :RELEVANT]
    truth = sp.csr_matrix((np.ones(liked.size), (np.repeat(np.arange(n_users), RELEVANT), liked.ravel())))
    past = drawn[:, 40:]
    seen = sp.csr_matrix(
        (np.ones(past.size), (np.repeat(np.arange(n_users), SEEN), past.ravel())), shape=(n_users, n_items)
    )
    return {"users": users, "items": items, "seen": seen.indices, "seen_indptr": seen.indptr, "truth": truth.indices,
            "truth_indptr": truth.indptr}  # fmt: skip


def ours(data: Arrays, resamples: int) -> dict[str, Any]:
    """The same work by llmrec; with `resamples` also intervals."""
    users, items, seen, indptr = data["users"], data["items"], data["seen"], data["seen_indptr"]
    truth_indptr, truth = data["truth_indptr"].astype(np.int64), data["truth"].astype(np.int64)

    def score(rows: slice) -> npt.NDArray[np.float32]:
        scores: npt.NDArray[np.float32] = users[rows] @ items.T
        begin, end = indptr[rows.start], indptr[rows.stop]
        had = np.repeat(np.arange(len(scores)), np.diff(indptr[rows.start : rows.stop + 1]))
        scores[had, seen[begin:end]] = -np.inf
        return scores

    started = time.perf_counter()
    user_hash, item_hash = (id_hash([f"{kind}{i}" for i in range(len(x))]) for kind, x in (("u", users), ("i", items)))
    top = blocked_top_k(score, len(users), K, user_hash, item_hash)
    values = list_metrics(top.item_rows, truth_indptr, truth, len(items), CUTOFFS)
    drawn = Bootstrap(np.arange(len(users)), resamples, 7).means(list(values.values()))
    seconds = time.perf_counter() - started
    return {"seconds": seconds, "metrics": {m: s.value for m, s in zip(values, drawn, strict=True)}}


def check(found: dict[str, float], theirs: dict[str, float]) -> None:
    """Both sides must have measured the same. Raises RuntimeError naming the metric."""
    for name, value in theirs.items():
        if abs(found[name] - value) > 1e-6:
            raise RuntimeError(f"{name}: {found[name]} here, {value} by RecTools; expected a difference below 1e-6")


def rounds(options: argparse.Namespace) -> tuple[list[float], list[float], list[float]]:
    """Of each round: the rival's seconds over ours, ours, and ours with intervals."""
    rival = start_rival() if RIVAL_PYTHON.exists() else None
    ratios, mine, with_intervals = list[float](), list[float](), list[float]()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "factors.npz"
        data = make_factors(options.users, options.items)
        np.savez(file, allow_pickle=False, **data)
        for n in range(options.rounds):
            first = ours(data, 0) if n % 2 == 0 else None
            theirs = rival.ask(factors=str(file)) if rival else None
            found = first or ours(data, 0)
            mine.append(found["seconds"])
            with_intervals.append(ours(data, RESAMPLES)["seconds"])
            if theirs:
                check(found["metrics"], theirs["metrics"])
                ratios.append(theirs["seconds"] / found["seconds"])
            print(f"round {n + 1}: ours {mine[-1]:.2f} s, with intervals {with_intervals[-1]:.2f} s, "
                  f"theirs {theirs['seconds'] if theirs else float('nan'):.2f} s", flush=True)  # fmt: skip
    if rival:
        rival.close()
    return ratios, mine, with_intervals


def main() -> None:
    """Run the rounds and print one line of JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--users", type=int, default=20_000)
    parser.add_argument("--items", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    seen_mib: list[float] = []
    with sampled(lambda: seen_mib.append(resident_mib()), every=0.02):
        ratios, mine, with_intervals = rounds(options)
    line = {
        "benchmark": "metrics",
        "ratio_vs_rectools": round(statistics.median(ratios), 3) if ratios else None,
        "peak_mib": round(max(seen_mib)),
        "seconds": round(statistics.median(mine), 3),
        "seconds_with_intervals": round(statistics.median(with_intervals), 3),
    }
    print(json.dumps(line, separators=(",", ":")))


if __name__ == "__main__":
    main()
