"""Tuned baselines on MovieLens-100K reach the published figures: random 75/25, transductive, full ranking."""

import io
import os
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from llmrec.evaluation.data.folds import Split
from llmrec.evaluation.data.protocols import random_split
from llmrec.evaluation.ranking.baselines import WithFallback, quality, tune
from llmrec.evaluation.ranking.ranking_model import lists_of
from llmrec.features.asof.interactions import Interactions

_WHEEL = "recbole-1.2.1-py3-none-any.whl"


@pytest.fixture(scope="module")
def split() -> Split:
    folder = Path(os.environ.get("LLMREC_CACHE", Path.home() / ".cache" / "llmrec-test"))
    if not (folder / _WHEEL).exists():
        pytest.skip(f"{folder / _WHEEL} is absent: `pip download --no-deps recbole==1.2.1 -d {folder}`")
    with zipfile.ZipFile(folder / _WHEEL) as wheel:
        name = next(n for n in wheel.namelist() if n.endswith("ml-100k.inter"))
        table = pd.read_csv(io.BytesIO(wheel.read(name)), sep="\t", header=0, names=["user", "item", "stars", "time"])
    time = table.time.to_numpy().astype(np.int64) * 1000
    users, items = table.user.astype(str).tolist(), table.item.astype(str).tolist()
    return random_split(Interactions.from_arrays(users, items, time), seed=7)


@pytest.mark.parametrize(("name", "least"), [("ease", 0.470), ("ials", 0.465), ("bpr", 0.442), ("popularity", 0.235)])
def test_reaches_the_published_figure(split: Split, name: str, least: float) -> None:
    tuned = tune(name, split, "ndcg@10", budget=12, fallback_days=None)
    assert quality(lists_of(WithFallback(tuned.model), split.test, 10), split.test, "ndcg@10") >= least
