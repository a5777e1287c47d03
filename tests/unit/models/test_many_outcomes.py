"""A ranker of many outcomes from examples to an answer: trained, calibrated, saved, loaded, ordered by, measured."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from factories.features import World
from factories.outcomes import followed
from factories.training import Folds, folds, tiny_config

from llmrec.bundle import Bundle, assemble, verify
from llmrec.config import RunConfig
from llmrec.corpus import check, ingest, vouch
from llmrec.evaluation.evaluation_run import EvaluationRun
from llmrec.evaluation.labels.outcomes import outcome_tables
from llmrec.evaluation.records.tables import LabelTable
from llmrec.reasons.contributions import contributions
from llmrec.recommender import WORTH, Recommender
from llmrec.storage import Artifact, Storage
from llmrec.training import train
from serve_app.messages import RequestUser
from serve_app.model.loading import load_model
from serve_app.schemas.answers import ItemsResponse

OUTCOMES = ["click", "share", "dwell", "like", "stars"]
RANKER: dict[str, Any] = {
    "name": "esmm", "outcomes": OUTCOMES, "order": {"click": 1, "share": 5}, "embedding_dim": 4, "hidden": [8],
    "tower": [4], "epochs": 2, "batch_size": 64,
}  # fmt: skip


@dataclass(frozen=True)
class Made:
    config: RunConfig
    world: Folds
    artifact: Artifact
    bundle: Bundle

    @property
    def recommender(self) -> Recommender:
        return self.bundle.recommender(10)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    world = folds(tmp_path_factory.mktemp("outcomes"), followed())
    config = tiny_config(retrievers={"popularity": {}}, ranker=RANKER, calibrator="temperature")
    models = train(config, world.storage, world.validation, world.test, ["no_text"])["no_text"]
    artifact = assemble(config, world.storage, world.test, models)
    return Made(config, world, artifact, Bundle.load(artifact.root))


def test_it_is_saved_with_a_calibrator_for_each_probability(made: Made) -> None:
    verify(made.bundle)
    assert set(made.bundle.models.calibrators) == {"share", "like"}
    assert {"calibrator", "calibrator.share"} <= set(made.bundle.settings.models.validation)
    assert made.bundle.models.ranker.outcomes == made.config.training.ranker.outcomes  # type: ignore[attr-defined]


def test_what_is_served_is_each_outcome_in_its_unit(made: Made) -> None:
    served = load_model(made.world.storage, made.artifact.id, 10)
    ids = list(made.bundle.history.item_ids[1:8])
    ranked = ItemsResponse.of(served.rank(RequestUser("u001"), ids, None))
    listed = ItemsResponse.of(served.recommend(RequestUser("u001"), (), None, 5)[0])
    for answer in (ranked, listed):
        assert answer.items
        for item in answer.items:
            assert list(item.outcomes) == OUTCOMES
            assert all(0 < item.outcomes[name] < 1 for name in ("click", "share", "like"))
            assert 1 < item.outcomes["stars"] < 5 and 1 < item.outcomes["dwell"] < 200
    assert [item.outcomes["click"] for item in ranked.items] == [item.click_probability for item in ranked.items]
    state = made.bundle.history.users_at(made.bundle.history.user_rows(["u001"]), np.array([made.bundle.last_time]))
    rows = made.bundle.history.item_rows([item.item_id for item in listed.items])
    expected = made.recommender.outcomes(state, rows, made.bundle.last_time)
    assert np.allclose([item.outcomes["share"] for item in listed.items], expected["share"])


def test_the_order_is_the_blend_times_what_a_click_is_expected_to_be_worth(made: Made) -> None:
    model, time = made.recommender, made.bundle.last_time
    user = made.bundle.history.users_at(np.array([3]), np.array([time]))
    rows = np.arange(1, 9)
    values, said = model.blend_columns(user, rows, time), model.outcomes(user, rows, time)
    worth = np.log(1 + 5 * np.minimum(said["share"] / said["click"], 1))
    blend = model.models.blender.score(values[:, :-1])
    assert np.ptp(worth) > 0 and model.columns[-1] == WORTH
    assert np.allclose(model.score(values), blend + worth, atol=1e-5)
    assert np.allclose(model.rank(user, rows, time).scores, blend + worth, atol=1e-5)
    told = contributions(model, user, rows, time, model.score(values))
    assert WORTH in told.terms
    assert np.allclose(told.values.sum(axis=1) + told.baseline, model.score(values), atol=1e-3)


def test_each_outcome_stands_beside_a_network_of_its_own_and_rates(made: Made) -> None:
    e = EvaluationRun(made.config, made.world.storage, None, None, {"no_text": made.artifact}, None)  # type: ignore[arg-type]
    tables = {table.name: table for table in outcome_tables(e)}
    assert list(tables) == [f"outcome/{name}" for name in OUTCOMES[1:]]
    for name, metrics in {
        "share": {"auc", "ece"},
        "like": {"auc", "ece"},
        "dwell": {"rmse"},
        "stars": {"rmse"},
    }.items():
        table = LabelTable.model_validate(tables[f"outcome/{name}"].model_dump())
        assert [model.name for model in table.models] == ["no_text", "alone_no_text", "rates"]
        assert all(metrics <= set(model.metrics) for model in table.models)
        assert {(c.model, c.against) for c in table.comparisons} == {("no_text", "alone_no_text"), ("no_text", "rates")}
    assert tables["outcome/share"].n_rows > tables["outcome/dwell"].n_rows  # of a click that was none it is known, too


def test_what_the_corpus_can_tell_is_listed_and_what_it_cannot_is_refused(tmp_path: Path) -> None:
    corpus = {"sample": {"n_users": 20, "n_items": 12, "n_reviews": 60}}
    ranker = {"name": "mmoe", "outcomes": ["click", "purchase"]}
    config = RunConfig.model_validate({"corpus": corpus, "training": {"ranker": ranker}})
    found = check(config)
    n = found["reviews"]
    assert found["labels"] == {"click": n, "like": n, "stars": n} and n > 50
    said = [one["message"] for one in found["warnings"] if one["check"] == "outcomes"]
    assert len(said) == 1 and f"cannot tell 'purchase'; the nearest is 'like'; it tells click ({n})" in said[0]
    artifact = ingest(config, Storage(str(tmp_path)))
    with pytest.raises(ValueError, match="the corpus cannot tell 'purchase'"):
        vouch(config, artifact)
    vouch(RunConfig.model_validate({"corpus": corpus}), artifact)


def test_with_reviews_alone_likes_and_stars_are_told(tmp_path: Path) -> None:
    world = folds(tmp_path, World.random())
    ranker = {**RANKER, "name": "shared_bottom", "outcomes": ["click", "like", "stars"], "order": {"click": 1}}
    config = tiny_config(retrievers={"popularity": {}}, ranker=ranker)
    models = train(config, world.storage, world.validation, world.test, ["no_text"])["no_text"]
    bundle = Bundle.load(assemble(config, world.storage, world.test, models).root)
    assert WORTH not in bundle.recommender().columns
    user = bundle.history.users_at(np.array([1]), np.array([bundle.last_time]))
    assert set(bundle.recommender().outcomes(user, np.arange(1, 4), bundle.last_time)) == {"click", "like", "stars"}
