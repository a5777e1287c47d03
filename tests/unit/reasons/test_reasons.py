"""Reasons of a trained bundle: they add up, the first of them matters, and taking the past away is what they say."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from factories.features import World, encode
from factories.training import TOWERS, folds, tiny_config

from llmrec import bundle
from llmrec.bundle import Bundle
from llmrec.models.attribution import with_dense
from llmrec.models.base import Ints
from llmrec.reasons import Explainer, Guest, ItemReasons
from llmrec.reasons.contributions import LOGIT, contributions
from llmrec.reasons.deletion import moved_by_families
from llmrec.recommender import Recommender
from llmrec.training import train

RANKERS = ("listwise", "dcnv2", "lambdarank", "logistic")


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Bundle]:
    return {ranker: trained(tmp_path_factory.mktemp(ranker), ranker) for ranker in RANKERS}


def trained(root: Path, ranker: str) -> Bundle:
    world = folds(root, World.random())
    settings = {"name": "dcnv2", "embedding_dim": 4, "hidden": (16,), "epochs": 4} if ranker == "dcnv2" else ranker
    config = tiny_config(
        retrievers={"two_tower": TOWERS, "item_knn": {}}, ranker=settings, blender="prior_correction"
    )  # of which every ranker's logit is a part
    models = train(config, world.storage, world.validation, world.test, ["text"])["text"]
    return Bundle.load(bundle.assemble(config, world.storage, world.test, models).root)


def asked(found: Bundle, user_row: int) -> tuple[Recommender, np.ndarray, np.ndarray]:
    """The recommender, and all items of one user with their scores, the best first."""
    recommender, time = found.recommender(), found.last_time
    user = recommender.user(found.history.user_ids[user_row], time, found.history.request_contexts({}))
    rows, scores = recommender.recommend(user, np.array([time]), 15)
    listed = rows[0] > 0
    return recommender, rows[0][listed], scores[0][listed]


def explained(found: Bundle, user_row: int, k: int = 4) -> tuple[list[ItemReasons], Ints, Sequence[float]]:
    recommender, rows, scores = asked(found, user_row)
    user = recommender.user(found.history.user_ids[user_row], found.last_time, found.history.request_contexts({}))
    return Explainer(recommender).explain(user, rows, scores, np.arange(k), found.last_time), rows, scores


@pytest.mark.parametrize("ranker", RANKERS)
def test_contributions_add_up_to_the_score_less_the_mean_candidates(bundles: dict[str, Bundle], ranker: str) -> None:
    for user in (0, 3, 8):
        reasons, _, scores = explained(bundles[ranker], user)
        for place, reason in enumerate(reasons):
            assert reason.baseline == pytest.approx(np.mean(scores), abs=1e-4)
            assert sum(reason.contributions.values()) == pytest.approx(scores[place] - reason.baseline, abs=2e-3)
            assert list(map(abs, reason.contributions.values())) == sorted(
                map(abs, reason.contributions.values()), reverse=True
            )
        assert set(reasons[0].contributions) >= ({"log_popularity"} if user == 0 else {"retriever.two_tower"})


def test_a_family_of_the_linear_ranker_is_its_weights_times_its_columns(bundles: dict[str, Bundle]) -> None:
    found = bundles["listwise"]
    recommender, rows, scores = asked(found, 5)
    user = recommender.user(found.history.user_ids[5], found.last_time, found.history.request_contexts({}))
    said = contributions(recommender, user, rows, found.last_time, scores)
    examples, _ = recommender.click_rows(user, rows, found.last_time)
    ranker = found.models.ranker
    scalars = [found.context.dense[place] for place in ranker._scalars]  # type: ignore[attr-defined]
    mine = np.flatnonzero([c.family == "collaborative" for c in scalars])
    columns = examples.dense[:, ranker._scalars[mine]]  # type: ignore[attr-defined]
    slope = ranker._scaling[0] * found.models.blender.weights[LOGIT]  # type: ignore[attr-defined]
    expected = (columns - columns.mean(axis=0)) @ ranker._weights[mine] * slope  # type: ignore[attr-defined]
    np.testing.assert_allclose(said.values[:, said.terms.index("collaborative")], expected, atol=1e-5)
    knn = recommender.blend_columns(user, rows, found.last_time)[:, 1]
    weight = found.models.blender.weights["item_knn"]
    np.testing.assert_allclose(
        said.values[:, said.terms.index("retriever.item_knn")], weight * (knn - knn.mean()), atol=1e-5
    )


@pytest.mark.parametrize("ranker", ["listwise", "dcnv2"])
def test_the_top_reason_moves_the_score_three_times_as_far_as_a_random_one(
    bundles: dict[str, Bundle], ranker: str
) -> None:
    top, others = [], []
    for user in range(1, 24):
        recommender, rows, scores = asked(bundles[ranker], user)
        moved, first = moved_by_families(recommender, user, rows, scores, bundles[ranker].last_time, 3)
        top += [abs(moved[place][first[place]]) for place in range(len(first))]
        others += [abs(v) for by_term in moved for v in by_term.values()]
    assert np.mean(top) >= 3 * np.mean(others)


def test_deleting_a_family_is_what_its_contribution_says(bundles: dict[str, Bundle]) -> None:
    recommender, rows, scores = asked(bundles["listwise"], 6)
    moved, _ = moved_by_families(recommender, 6, rows, scores, bundles["listwise"].last_time, 3)
    reasons, _, _ = explained(bundles["listwise"], 6, 3)
    for by_term, reason in zip(moved, reasons, strict=True):
        for term, value in by_term.items():
            assert value == pytest.approx(-reason.contributions[term], abs=2e-3), term


def test_the_reason_that_names_a_past_item_names_the_one_whose_loss_costs_most(bundles: dict[str, Bundle]) -> None:
    found = bundles["logistic"]
    recommender, rows, scores = asked(found, 4)
    history, time = found.history, found.last_time
    liked = history.item_rows(["i002", "i005", "i009"])
    state = history.cold_start_state(liked, None, time)
    order = [int(r) for r in rows if int(r) not in liked.tolist()]
    ranked = recommender.rank(state, np.array(order), time)
    best = np.argsort(-ranked.scores)
    rows, scores = np.array(order)[best], ranked.scores[best]
    reasons = Explainer(recommender).explain(state, rows, scores, np.arange(5), time, Guest(liked))

    def score_without(item: int, of: int) -> float:
        less = history.cold_start_state(liked[liked != item], None, time)
        said = recommender.rank(less, rows, time).scores.astype(np.float64)
        return float(said[of] - said.mean())

    named = 0
    for place, reason in enumerate(reasons):
        drops = {int(i): scores[place] - scores.mean() - score_without(int(i), place) for i in liked}
        for because in (b for b in reason.because if b.kind == "liked"):
            named += 1
            assert because.item_id == history.item_ids[max(drops, key=lambda i: drops[i])]
            assert because.effect == pytest.approx(max(drops.values()), abs=1e-3)
            assert because.statement == f"you liked {because.item_id}"
    assert named


def test_a_quote_is_the_sentence_that_alone_raises_the_score_most(bundles: dict[str, Bundle]) -> None:
    found = bundles["logistic"]
    recommender, history, time = found.recommender(), found.history, found.last_time
    said = ("word3 word4 word5.", "word30 word31!", "word12")
    vector, alone = encode([" ".join(said)])[0], encode(list(said))
    state = history.cold_start_state(np.zeros(0, np.int64), vector, time)
    rows = np.arange(1, len(history.item_ids))
    scores = recommender.rank(state, rows, time).scores
    guest = Guest(np.zeros(0, np.int64), vector, said, alone)
    reasons = Explainer(recommender).explain(state, rows, scores, np.arange(len(rows)), time, guest)
    quotes = {b.quote for reason in reasons for b in reason.because if b.kind == "wrote"}
    assert quotes and quotes <= set(said)
    silent = history.cold_start_state(np.zeros(0, np.int64), None, time)

    def relative(state: object, place: int) -> float:
        columns = recommender.blend_columns(state, rows, time)  # type: ignore[arg-type]
        blended = recommender.models.blender.score(columns).astype(np.float64)
        return float(blended[place] - blended.mean())

    for place, reason in enumerate(reasons):
        for because in (b for b in reason.because if b.kind == "wrote"):
            gains = [relative(history.cold_start_state(np.zeros(0, np.int64), v, time), place) for v in alone]
            assert because.quote == said[int(np.argmax(gains))]
            assert because.effect == pytest.approx(relative(state, place) - relative(silent, place), abs=1e-3)


def test_where_nothing_is_known_popularity_says_so_with_its_count(bundles: dict[str, Bundle]) -> None:
    found = bundles["listwise"]
    reasons, rows, _ = explained(found, 0, 1)
    because = reasons[0].because
    assert [b.kind for b in because] == ["popularity"]
    count = found.history.item_counts(rows[:1], np.array([found.last_time])).count[0]
    assert because[0].statement.startswith(f"it is popular: {count:.0f} reviews so far")


def test_dense_features_go_back_where_they_came_from(bundles: dict[str, Bundle]) -> None:
    recommender, rows, _ = asked(bundles["listwise"], 2)
    user = recommender.user("u002", bundles["listwise"].last_time, bundles["listwise"].history.request_contexts({}))
    examples, _ = recommender.click_rows(user, rows, bundles["listwise"].last_time)
    again = with_dense(examples, examples.dense + 1)
    assert np.array_equal(again.item, examples.item + 1) and np.array_equal(again.pair, examples.pair + 1)
    assert np.array_equal(replace(again, user=examples.user).user, examples.user)
