"""The whole way on events alone, and on both, with another outcome than a review. (On reviews alone: `small_run`.)"""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from llmrec.bundle import Bundle
from llmrec.config import RunConfig
from llmrec.evaluation.records.results import Results
from llmrec.live.context import LiveContext
from llmrec.live.event_log import Fact, open_event_log
from llmrec.live_bundle import LogFile, besides, go_live
from llmrec.pipeline import Run, run_pipeline
from llmrec.schema import Column as C
from llmrec.storage import Storage

SAMPLE = {"n_users": 60, "n_items": 40, "n_reviews": 400, "events": True, "people": True}
CORPORA: dict[str, dict[str, Any]] = {
    "alone": {"outcome": "purchase", "sample": SAMPLE | {"reviews": False}},
    "both": {"outcome": {"dwell": {"at_least": 20}}, "sample": SAMPLE},
}


@pytest.fixture(scope="module", params=CORPORA)
def run(request: pytest.FixtureRequest, ray_cluster: None, tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = str(tmp_path_factory.mktemp(request.param))
    config = RunConfig.model_validate({
        "name": request.param, "storage": folder, "corpus": CORPORA[request.param],
        "encoding": {"encoder": {"backend": "tfidf_svd", "dimension": 8}},
        "features": {"text_dim": 8, "event_lag": 30},
        "training": {"workers": 0, "retrievers": ["time_at_risk", "item_knn"],
                     "ranker": {"name": "listwise", "queries": 60}},
        "evaluation": {"protocols": ["temporal"], "list_length": 20, "cutoffs": [5, 10], "primary_metric": "ndcg@5",
                       "retrieve": 20, "bootstrap": 50, "tuning_trials": 1, "baselines": ["popularity", "item_knn"],
                       "controls": []},
    })  # fmt: skip
    return run_pipeline(config, Storage(folder), lambda *_: None)


def test_the_outcome_is_trained_evaluated_reported_and_published(run: Run) -> None:
    corpus, examples = run.artifacts["corpus"], run.artifacts["examples.test"]
    outcome = corpus.manifest.info["outcome"]
    rows = examples.table("examples", [C.CLICK, C.REVIEW_ID, C.SPLIT]).to_pylist()
    clicks = [row for row in rows if row[C.CLICK]]
    assert len(clicks) == outcome["events"] and all(row[C.REVIEW_ID].startswith("event:") for row in clicks)
    table = Results.model_validate(run.artifacts["report"].json("results.json")).protocols[0]
    assert table.n_queries == sum(row[C.SPLIT] == "test" for row in clicks)
    assert {"popularity", "item_knn"} <= {model.name for model in table.models}
    bundle = Bundle.load(run.artifacts["bundle.text"].root)
    assert {"event_view_pair", "event_purchase_user", "followed", "user_attributes"} <= set(
        bundle.context.spec.families
    )
    assert run.published["variant"] in run.variants


def test_live_events_of_every_kind_are_known_and_the_outcomes_are_interactions(run: Run, tmp_path: Path) -> None:
    root = run.artifacts["bundle.text"].root
    assert {"view", "dwell", "purchase"} <= set(besides(root).kinds) and besides(root).relations
    bundle = Bundle.load(root, LiveContext.of)
    live, _ = go_live(bundle, LogFile(str(tmp_path / "log"), 1_000, 0.1))
    history, at = bundle.history, bundle.last_time + 1
    user, item = history.user_ids[1], history.item_ids[1]
    seen = np.array([at + 1 + history.further.lag_ms])  # `features.event_lag` of the run
    before = history.users_at(np.array([1]), seen)
    for kind, value in (("view", None), ("dwell", 5.0), ("dwell", 25.0), ("purchase", 1.0)):
        body = {"kind": kind, "user": user, "item": item, "value": value, "session": None, "text": None, "time": at}
        open_event_log(str(tmp_path / "log")).append([[Fact("event", f"{kind}{value}", body, body)]])
    assert live.catch_up() == 4
    after = history.users_at(np.array([1]), seen)
    assert after.count[0] == before.count[0] + 1  # the purchase, or the long dwell
    added = (after.events[0, :, 0] - before.events[0, :, 0]).tolist()
    assert dict(zip(history.further.kinds, added, strict=True)) == {
        kind: {"view": 1, "dwell": 2, "purchase": 1}.get(kind, 0) for kind in history.further.kinds
    }


def test_what_was_had_is_recommended_again_where_that_is_the_custom(run: Run) -> None:
    bundle = Bundle.load(run.artifacts["bundle.no_text"].root)
    model, history = bundle.recommender(), bundle.history
    users = np.arange(1, len(history.user_ids))
    times = np.full(len(users), bundle.last_time + 1)
    rows, _ = model.recommend(history.users_at(users, times), times, 20)
    had = history.data
    again = sum(int(np.isin(rows[q], had.item_rows[had.user_rows == u]).sum()) for q, u in enumerate(users))
    assert (again > 0) == (not run.artifacts["corpus"].manifest.info["outcome"]["exclude_seen"])
