"""Baselines on the real corpus against figures that other code has found."""

import gzip
import json
from pathlib import Path

import numpy as np
import pytest

from llmrec.config import SplitConfig
from llmrec.corpus.splits import cutoffs
from llmrec.evaluation.data import protocols
from llmrec.evaluation.ranking.baselines import Settings, WithFallback, fit_data, make, quality
from llmrec.evaluation.ranking.ranking_model import lists_of
from llmrec.features.asof.interactions import Interactions


@pytest.fixture(scope="module")
def musical_instruments(data_folder: Path) -> Interactions:
    file = data_folder / "reviews_Musical_Instruments_5.json.gz"
    with gzip.open(file, "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    time = np.array([int(r["unixReviewTime"]) for r in rows]) * 1000
    return Interactions.from_arrays([r["reviewerID"] for r in rows], [r["asin"] for r in rows], time)


REFERENCE = [  # what shared/reference/rank_reference.py prints: R@10, NDCG@10, R@50
    ("temporal", "popularity", {}, None, (0.0901, 0.0469, 0.2442)),
    ("temporal", "recent_popularity", {"decay_days": 90.0}, None, (0.1085, 0.0561, 0.2984)),
    ("temporal", "item_knn", {}, None, (0.0359, 0.0190, 0.1463)),
    ("temporal", "ease", {"regularization": 500.0}, None, (0.0620, 0.0325, 0.1676)),
    ("temporal", "ease", {"regularization": 500.0}, 90.0, (0.0843, 0.0459, 0.2219)),
    ("leave_last_out", "popularity", {}, None, (0.0966, 0.0465, 0.2435)),
    ("leave_last_out", "item_knn", {}, None, (0.1113, 0.0596, 0.2596)),
    ("leave_last_out", "ease", {"regularization": 200.0}, None, (0.1505, 0.0754, 0.2967)),
]


@pytest.mark.parametrize(("protocol", "name", "settings", "fallback", "expected"), REFERENCE)
def test_baselines_agree_with_the_reference(
    musical_instruments: Interactions,
    protocol: str,
    name: str,
    settings: Settings,
    fallback: float | None,
    expected: tuple[float, float, float],
) -> None:
    data = musical_instruments
    if protocol == "temporal":
        cut = cutoffs(data.time, SplitConfig())
        fold = protocols.temporal(data, cut.t1, cut.t2).test
        assert len(fold.queries) == 1032
    else:
        fold = protocols.leave_last_out(data).test
        assert len(fold.queries) == 1429
    model = make(name, settings)
    model.fit(fit_data(fold, None, 7))
    top = lists_of(WithFallback(model, fallback), fold, 50)
    found = [quality(top, fold, m) for m in ("recall@10", "ndcg@10", "recall@50")]
    np.testing.assert_allclose(found, expected, atol=0.005)
