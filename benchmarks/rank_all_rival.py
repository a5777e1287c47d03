"""RecTools' two stages over implicit's ALS, run by `.venv-rivals`; `benchmarks.rank_all` asks it.

The first line of JSON on stdin, `{"events": PATH, "settings": {…}, "candidates": …, "k": …}`, is fitted and answered
with the seconds of that; each line after it is answered with the seconds of all lists, their NDCG@10, and the most
memory that the process held so far.
"""

import json
import os
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from implicit.als import AlternatingLeastSquares
from rectools import Columns
from rectools.dataset import Dataset
from rectools.model_selection import TimeRangeSplitter
from rectools.models import ImplicitALSWrapperModel
from rectools.models.ranking import CandidateGenerator, CandidateRankingModel, PerUserNegativeSampler, Reranker
from sklearn.ensemble import HistGradientBoostingClassifier

_NEGATIVES = 10  # a user, of their candidates


class Pipeline:
    """What is fitted and asked."""

    def __init__(self, order: dict[str, Any]) -> None:
        data = np.load(order["events"])
        self.asked, self.truth, self.k = data["asked"], data["truth"], order["k"]
        self.dataset = Dataset.construct(pd.DataFrame({
            Columns.User: data["user"], Columns.Item: data["item"], Columns.Weight: 1.0,
            Columns.Datetime: pd.to_datetime(data["time"], unit="ms"),
        }))  # fmt: skip
        als = ImplicitALSWrapperModel(AlternatingLeastSquares(**order["settings"], num_threads=1, random_state=7))
        first = CandidateGenerator(als, order["candidates"], keep_ranks=True, keep_scores=True)
        days = int((data["time"].max() - data["time"].min()) / 86_400_000 / 10)
        self.model = CandidateRankingModel(
            [first], TimeRangeSplitter(f"{days}D", 1), Reranker(HistGradientBoostingClassifier(random_state=7)),
            PerUserNegativeSampler(_NEGATIVES, 7),
        )  # fmt: skip
        self.model.fit(self.dataset)

    def lists(self) -> dict[str, float]:
        """Seconds by the wall and of CPU, and NDCG@10."""
        started, used = time.perf_counter(), time.process_time()
        found = self.model.recommend(self.asked, self.dataset, self.k, filter_viewed=True)
        took = {"seconds": time.perf_counter() - started, "cpu": time.process_time() - used}
        right = found.merge(pd.DataFrame({Columns.User: self.asked, Columns.Item: self.truth}))
        gains = 1 / np.log2(right[Columns.Rank].to_numpy() + 1)
        return took | {"ndcg": float(gains.sum() / len(self.asked)), "peak_mb": peak_mb()}


def peak_mb() -> float:
    """The most memory that this process held."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print goes to stderr
    pipeline: Pipeline | None = None
    for line in sys.stdin:
        if pipeline is None:
            begun = time.perf_counter()
            pipeline = Pipeline(json.loads(line))
            said = {"fit": time.perf_counter() - begun}
        else:
            said = pipeline.lists()
        print(json.dumps(said), file=answers, flush=True)
