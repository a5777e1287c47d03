"""RecTools' models (implicit's under two of them) and metrics, run by `.venv-rivals`; `benchmarks.evaluate` asks it.

Reads one line of JSON a run, `{"events": PATH, "models": […], "settings": {…}, "k": …, "cutoffs": […]}`, and answers
with the seconds of fit and of ranking with metrics, and NDCG, by model.
"""

import json
import sys
import time
from typing import Any

import numpy as np
import pandas as pd
from implicit.als import AlternatingLeastSquares
from implicit.nearest_neighbours import CosineRecommender
from rectools import Columns
from rectools.dataset import Dataset
from rectools.metrics import calc_metrics
from rectools.models import EASEModel, ImplicitALSWrapperModel, ImplicitItemKNNWrapperModel, PopularModel

from benchmarks.metrics_rivals import accuracy


def make(name: str, settings: dict[str, Any], n_items: int) -> Any:
    """The model with the settings of ours."""
    if name == "popularity":
        return PopularModel()
    if name == "item_knn":
        return ImplicitItemKNNWrapperModel(CosineRecommender(K=settings["neighbours"] or n_items, num_threads=0))
    if name == "ease":
        return EASEModel(regularization=settings["regularization"])
    return ImplicitALSWrapperModel(AlternatingLeastSquares(**settings, num_threads=0, random_state=7))


def frame(user: Any, item: Any) -> pd.DataFrame:
    """Events as RecTools reads them; no clock is used."""
    columns = {Columns.User: user, Columns.Item: item, Columns.Weight: 1.0, Columns.Datetime: "2020-01-01"}
    return pd.DataFrame(columns)


def run(request: dict[str, Any]) -> dict[str, Any]:
    """Each model fitted, its lists of `k` for every user who is asked, and their metrics."""
    data = np.load(request["events"])
    train, test = frame(data["user"], data["item"]), frame(data["test_user"], data["test_item"])
    metrics = accuracy(request["cutoffs"])
    users, found = np.intersect1d(data["test_user"], data["user"]), {}  # RecTools' models refuse one without a history
    for name in request["models"]:
        started = time.perf_counter()
        dataset = Dataset.construct(train)
        model = make(name, request["settings"].get(name, {}), dataset.item_id_map.size)
        model.fit(dataset)
        fitted = time.perf_counter()
        lists = model.recommend(users, dataset, request["k"], filter_viewed=True)
        values = calc_metrics(metrics, reco=lists, interactions=test)
        found[name] = {"fit": fitted - started, "rank": time.perf_counter() - fitted, "ndcg": float(values["ndcg@10"])}
    return found


if __name__ == "__main__":
    for line in sys.stdin:
        print(json.dumps(run(json.loads(line))), flush=True)
