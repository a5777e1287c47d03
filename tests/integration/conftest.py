"""Runs that several files share: made once a session, and left as they are."""

import pytest

from llmrec.config import RunConfig
from llmrec.pipeline import Run, run_pipeline
from llmrec.storage import Storage

#: The whole way, all protocols and tables, with an encoder that is fitted on the corpus.
SMALL = {
    "name": "small",
    "corpus": {"sample": {"n_users": 90, "n_items": 60, "n_reviews": 900, "text_share": 0.7, "skew": 1.0}},
    "encoding": {"encoder": {"backend": "tfidf_svd", "dimension": 16}},
    "features": {"text_dim": 16},
    "training": {"workers": 0, "retrievers": {"two_tower": {"epochs": 3, "hidden": []}},
                 "ranker": {"name": "dcnv2", "epochs": 2}},
    "evaluation": {"protocols": ["temporal", "frozen", "leave_last_out", "random"], "list_length": 30,
                   "cutoffs": [5, 20], "primary_metric": "ndcg@5", "retrieve": 30, "bootstrap": 200,
                   "tuning_trials": 2, "families": True,
                   "baselines": ["popularity", "ease", "ials", "ncf", "boosted", "boosted_text", "text_logistic"]},
}  # fmt: skip
#: A corpus whose taste only the text shows, up to its features: of a few families, so that each counts.
PLANTED = {
    "name": "planted",
    "training": {"ranker": "dcnv2"},
    "corpus": {"sample": {"n_users": 700, "n_items": 400, "n_reviews": 5000, "text_share": 1.0, "skew": 1.0}},
    "split": {"validation_quantile": 0.6, "test_quantile": 0.7},
    "encoding": {"encoder": {"backend": "hashing"}},
    "features": {
        "text_dim": 16, "selection": {"by": "family", "budget": 24},
        "include": ["text_user_profile", "text_item_profile", "text_similarity", "context", "user_stars",
                    "user_activity", "item_popularity"],
    },
    "evaluation": {"bootstrap": 200},
}  # fmt: skip


def _run(settings: dict[str, object], factory: pytest.TempPathFactory, until: str) -> Run:
    folder = str(factory.mktemp(str(settings["name"])))
    config = RunConfig.model_validate(settings | {"storage": folder})
    return run_pipeline(config, Storage(folder), lambda *_: None, until=until)


@pytest.fixture(scope="session")
def small_run(ray_cluster: None, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return _run(SMALL, tmp_path_factory, "evaluate")


@pytest.fixture(scope="session")
def planted_run(ray_cluster: None, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return _run(PLANTED, tmp_path_factory, "featurize")
