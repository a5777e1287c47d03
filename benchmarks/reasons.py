"""What reasons are worth and cost: the deletion test and the time they take, on a published bundle, without a server.

    .venv/bin/python -m benchmarks.reasons [--config FILE] [--users N] [SECTION.KEY=VALUE …]

For the three best items of N users: the columns of the family with the largest contribution are set to the candidates'
mean, and the whole model is asked again; `ratio` is how far the score moves over the mean of how far it moves so for
each of the item's families. `share` is the family's share of top reasons. Times are of one user's list of ten.
"""

import argparse
import json
import time
from collections import Counter
from typing import Any

import numpy as np

from llmrec.bundle import Bundle
from llmrec.config import load_config
from llmrec.reasons import Explainer
from llmrec.reasons.deletion import moved_by_families
from llmrec.registry import current
from llmrec.storage import Storage


def measure(bundle: Bundle, n_users: int) -> dict[str, Any]:
    """The figures over users spread over all."""
    moment = bundle.last_time
    recommender = bundle.recommender(clock=moment)
    top, every, firsts, plain, why = [], [], Counter[str](), [], []
    contexts = bundle.history.request_contexts({})
    for row in np.unique(np.linspace(1, len(bundle.history.user_ids) - 1, n_users).astype(np.int64)).tolist():
        user = recommender.user(bundle.history.user_ids[row], moment, contexts)
        if recommender.nothing_known(user)[0]:
            continue
        started = time.perf_counter()
        rows, scores = recommender.recommend(user, np.array([moment]), recommender.n_retrieve)
        asked = time.perf_counter()
        rows, scores = rows[0][rows[0] > 0], scores[0][rows[0] > 0]
        Explainer(recommender).explain(user, rows, scores, np.arange(min(10, len(rows))), moment)
        plain.append(asked - started)
        why.append(time.perf_counter() - asked)
        moved, first = moved_by_families(recommender, row, rows, scores, moment, 3)
        for by_term, name in zip(moved, first, strict=True):
            top.append(abs(by_term[name]))
            every.append(np.mean([abs(v) for v in by_term.values()]))
            firsts[name] += 1
    share = {name: round(n / len(top), 3) for name, n in firsts.most_common(6)}
    p50 = {"recommend_ms": 1000 * float(np.median(plain)), "reasons_ms": 1000 * float(np.median(why))}
    return {"items": len(top), "ratio": float(np.mean(top) / np.mean(every)), "top_moves": float(np.mean(top)),
            "random_moves": float(np.mean(every)), "share": share, **p50}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", default="configs/quickstart.yaml")
    parser.add_argument("--users", type=int, default=100)
    parser.add_argument("overrides", nargs="*")
    arguments = parser.parse_args()
    config = load_config(arguments.config, arguments.overrides)
    storage = Storage(config.storage)
    artifact = storage.find("bundle", str(current(storage, config.name)["id"]))
    assert artifact is not None, "CURRENT names a bundle that is not there: publish again"
    print(json.dumps(measure(Bundle.load(artifact.root), arguments.users)))


if __name__ == "__main__":
    main()
