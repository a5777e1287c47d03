"""`implicit`'s top-k and RecTools' metrics, run by `.venv-rivals`; `benchmarks.metrics` talks to it over stdin.

Reads one line of JSON a run, `{"factors": PATH}`, and answers with the seconds and the metrics.
"""

import json
import sys
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse as sp
from implicit.cpu.topk import topk
from rectools import Columns
from rectools.metrics import MAP, MRR, NDCG, HitRate, Precision, Recall, calc_metrics

CUTOFFS = (10, 50)


def accuracy(cutoffs: Sequence[int]) -> dict[str, Any]:
    """RecTools' metrics by the names of ours."""
    return {
        f"{name}@{k}": metric
        for k in cutoffs
        for name, metric in (
            ("recall", Recall(k)), ("precision", Precision(k)), ("hit_rate", HitRate(k)), ("mrr", MRR(k)),
            ("ndcg", NDCG(k, divide_by_achievable=True)), ("map", MAP(k)),
        )
    }  # fmt: skip


def run(path: str) -> dict[str, object]:
    """Top 50 of every user, seen items masked, then RecTools' metrics at 10 and 50."""
    data = np.load(path)
    n_users, n_items = len(data["users"]), len(data["items"])
    seen = sp.csr_matrix(
        (np.ones(len(data["seen"]), np.float32), data["seen"], data["seen_indptr"]), (n_users, n_items)
    )
    users, ranks = np.arange(n_users), np.arange(1, CUTOFFS[-1] + 1)
    started = time.perf_counter()
    items, scores = topk(data["items"], data["users"], CUTOFFS[-1], filter_query_items=seen, num_threads=0)
    reco = pd.DataFrame(
        {
            Columns.User: np.repeat(users, CUTOFFS[-1]),
            Columns.Item: items.ravel(),
            Columns.Score: scores.ravel(),
            Columns.Rank: np.tile(ranks, n_users),
        }
    )
    truth = pd.DataFrame({Columns.User: np.repeat(users, np.diff(data["truth_indptr"])), Columns.Item: data["truth"]})
    found = calc_metrics(accuracy(CUTOFFS), reco=reco, interactions=truth)
    return {"seconds": time.perf_counter() - started, "metrics": {m: float(v) for m, v in found.items()}}


if __name__ == "__main__":
    for line in sys.stdin:
        print(json.dumps(run(json.loads(line)["factors"])), flush=True)
