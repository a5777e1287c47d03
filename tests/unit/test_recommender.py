"""Two stages, candidates, ties, the fallback, guests: what evaluation, jobs and the server rely on."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from factories.features import START, World, encode
from factories.training import TOWERS, folds, tiny_config

from llmrec import bundle
from llmrec.bundle import Bundle
from llmrec.config.models import model_config
from llmrec.config.serving.approximate import ApproximateConfig
from llmrec.features.asof.item_sets import ItemSet
from llmrec.models import by_moment
from llmrec.models.blenders.prior_correction import popularity
from llmrec.models.files.store import make_model
from llmrec.models.fixed_order import FixedOrder
from llmrec.models.retrieval import retrieve
from llmrec.models.retrievers.nearest import item_index
from llmrec.models.retrievers.nearest.item_index import ItemIndex
from llmrec.models.retrievers.two_tower.retriever import TwoTowerRetriever
from llmrec.models.topk import top_k
from llmrec.recommender import Recommender
from llmrec.schema import DAY_MS, id_hash, tie_hash
from llmrec.training import train

DAY = 80
GRAPH = ApproximateConfig(above=1)


@pytest.fixture(scope="module")
def loaded_uri(tmp_path_factory: pytest.TempPathFactory) -> str:
    world = folds(tmp_path_factory.mktemp("recommender"), World.random())
    models = train(tiny_config(), world.storage, world.validation, world.test, ["text"])["text"]
    return bundle.assemble(tiny_config(), world.storage, world.test, models).root


@pytest.fixture(scope="module")
def loaded(loaded_uri: str) -> Bundle:
    return Bundle.load(loaded_uri)


@pytest.fixture
def model(loaded: Bundle) -> Recommender:
    return loaded.recommender(6)


def users(model: Recommender, rows: list[int], day: int = DAY):  # type: ignore[no-untyped-def]
    times = np.full(len(rows), START + day * DAY_MS)
    return model.history.users_at(np.array(rows), times), times


def test_answers_hold_candidates_only(model: Recommender) -> None:
    state, times = users(model, list(range(20)), day=2)
    rows, scores = model.recommend(state, times, 8)
    known = model.history.known_items(int(times[0]))
    assert not known[1:].all()
    for q in range(20):
        listed = rows[q][rows[q] >= 0]
        assert len(set(listed.tolist())) == len(listed)
        assert known[listed].all()
        assert not np.isin(listed, model.history.seen(q, int(times[q]))).any()
        assert (np.diff(scores[q][rows[q] >= 0]) <= 0).all()
        assert len(listed) == min(8, known.sum() - len(set(model.history.seen(q, int(times[q])).tolist())))
    assert (scores[rows < 0] == -np.inf).all()


def test_a_batch_is_answered_as_its_users_one_by_one(model: Recommender) -> None:
    rows = np.array([3, 0, 7, 11, 3])
    times = START + np.array([30, 45, 60, 80, 81]) * DAY_MS
    state = model.history.users_at(rows, times)
    together = model.recommend(state, times, 5)
    for q in range(5):
        one = np.array([q])
        alone = model.recommend(state.take(one), times[one], 5)
        assert alone[0].tolist() == together[0][one].tolist()
        assert np.allclose(alone[1], together[1][one], atol=1e-4)


def test_retrieval_is_the_brute_force_of_the_towers(model: Recommender) -> None:
    state, times = users(model, [1, 2, 3])
    found, towers = model.retrieve(state, times, 4), model.models.retrievers["two_tower"]
    assert isinstance(towers, TwoTowerRetriever)
    rows, scores = found.rows, found.scores
    every = towers.user_vectors(model.requests(state, times)) @ towers.vectors_at(int(times[0])).T
    for q in range(3):
        allowed = model.history.known_items(int(times[q]))
        allowed[model.history.seen(int(state.rows[q]), int(times[q]))] = False
        order = np.argsort(-np.where(allowed, every[q], -np.inf), kind="stable")[:4]
        assert rows[q].tolist() == order.tolist()
        assert np.allclose(scores[q], every[q, order], atol=1e-5)


def test_beyond_the_ranked_the_order_is_retrievals(model: Recommender) -> None:
    state, times = users(model, [4])
    retrieved = model.retrieve(state, times, 10).rows
    rows, scores = model.recommend(state, times, 10)
    listed = int((rows[0] >= 0).sum())
    assert listed > 6
    assert set(rows[0, :6].tolist()) == set(retrieved[0, :6].tolist())
    assert rows[0, 6:listed].tolist() == retrieved[0, 6:listed].tolist()
    assert (np.diff(scores[0, :listed]) <= 0).all()


def test_the_second_stage_orders_by_its_blend(loaded: Bundle) -> None:
    only = copy.copy(loaded.models.blender)
    only._weights = np.array([float(c == "click_logit") for c in loaded.models.blender.weights])  # type: ignore[attr-defined]
    model = Recommender(replace(loaded.models, blender=only), loaded.context, retrieve=6)
    state, times = users(model, [5])
    rows, scores = model.recommend(state, times, 6)
    ranked = model.rank(state, rows[0], int(times[0]))
    assert np.allclose(ranked.scores, scores[0], atol=1e-5)
    assert (np.diff(ranked.probability) <= 0).all()
    assert np.allclose(1 / (1 + np.exp(-scores[0])), ranked.probability, atol=1e-5)


def test_the_probability_that_is_served_is_calibrated_and_the_order_stays(loaded: Bundle, model: Recommender) -> None:
    calibrator = make_model("calibrator", model_config("calibrator", "temperature"))
    calibrator.restore({"x": np.array([-50.0, 50.0]), "y": np.array([-26.0, 24.0])}, None)  # logit / 2 - 1
    other = Recommender(replace(loaded.models, calibrator=calibrator), loaded.context, retrieve=6)
    state, times = users(model, [4])
    rows = np.arange(1, 6)
    before, after = (m.rank(state, rows, int(times[0])) for m in (model, other))
    logits = np.log(before.probability / (1 - before.probability))
    assert np.allclose(after.probability, 1 / (1 + np.exp(1 - logits / 2)), atol=1e-5)
    assert np.array_equal(before.scores, after.scores)


def test_rank_scores_any_items_as_recommend_does(model: Recommender) -> None:
    state, times = users(model, [4])
    rows, scores = model.recommend(state, times, 6)
    shuffled = rows[0, ::-1]
    assert np.allclose(model.rank(state, shuffled, int(times[0])).scores, scores[0, ::-1], atol=1e-5)
    nobody, now = users(model, [0])
    rows, scores = model.recommend(nobody, now, 6)  # of whom nothing is known: popularity for both
    assert np.allclose(model.rank(nobody, rows[0], int(now[0])).scores, scores[0], atol=1e-5)


def test_the_click_probability_is_the_rankers_on_the_written_example(loaded: Bundle, model: Recommender) -> None:
    """One path offline and online: `rank` as of an event gives what the ranker gives for that row's features."""
    history, spec = loaded.history, loaded.context.spec
    event = int(np.searchsorted(history.data.times, START + 75 * DAY_MS))
    user, item, time = (int(a[event]) for a in (history.data.user_rows, history.data.item_rows, history.data.times))
    states = history.users_at(np.array([user]), np.array([time])), history.items_at(np.array([item]), np.array([time]))
    dense = np.concatenate(
        [spec.user_features(states[0]), spec.item_features(states[1]), spec.pair_features(*states)], axis=1
    )
    with torch.inference_mode():
        idx = spec.user_idx(states[0].rows), spec.item_idx(states[1].rows), spec.history_idx(states[0])
        ages = torch.as_tensor(spec.history_ages(states[0]))
        logit = loaded.models.ranker.net(*(torch.as_tensor(i).long() for i in idx), ages, torch.as_tensor(dense))
    found = model.rank(states[0], np.array([item]), time).probability
    assert np.allclose(found, torch.sigmoid(logit).numpy(), atol=1e-6)


@pytest.mark.parametrize("fallback", ["log_popularity", "log_popularity_7d", "log_rate_30d"])
def test_somebody_of_whom_nothing_is_known_gets_popularity(loaded: Bundle, fallback: str) -> None:
    model = Recommender(replace(loaded.models, fallback=fallback), loaded.context, retrieve=6)
    state, times = users(model, [0, 1])
    assert model.nothing_known(state).tolist() == [True, False]
    rows, _ = model.recommend(state, times, 10)
    known = np.flatnonzero(model.history.known_items(int(times[0])))
    items = model.history.items_at(known, np.full(len(known), times[0]))
    counted = popularity(items, model.history.settings.popularity_days)
    popular = counted[:, model.popularity.index(fallback)].astype(np.float32)
    ties = tie_hash(id_hash([""]), id_hash([model.history.item_ids[r] for r in known]))
    assert rows[0].tolist() == known[np.lexsort((ties, -popular))][:10].tolist()


def test_a_guest_is_answered_from_likes_or_from_words_alone(model: Recommender) -> None:
    time = START + DAY * DAY_MS
    by_likes = model.history.cold_start_state(np.array([3, 5]), None, time)
    by_words = model.history.cold_start_state(np.zeros(0, np.int64), encode(["word3 word4"])[0], time)
    assert not model.nothing_known(by_likes).any() and not model.nothing_known(by_words).any()
    rows, _ = model.recommend(by_likes, np.array([time]), 5)
    assert not np.isin(rows[0], [3, 5]).any()
    other = model.history.cold_start_state(np.zeros(0, np.int64), encode(["word30 word31 word32"])[0], time)
    scores = [model.rank(g, np.arange(1, 15), time).probability for g in (by_words, other)]
    assert not np.allclose(*scores)


def test_excluded_rows_are_not_listed(model: Recommender) -> None:
    state, times = users(model, [0, 2])
    first, _ = model.recommend(state, times, 3)
    rows, _ = model.recommend(state, times, 3, [first[0], first[1]])
    assert not np.isin(rows[0], first[0]).any()
    assert not np.isin(rows[1], first[1]).any()


def test_an_answer_does_not_change_with_what_happens_later(loaded: Bundle, loaded_uri: str) -> None:
    """Vectors are cached by the day; a query in the morning must not see the evening, nor a later query's vectors."""
    state, times = users(loaded.recommender(), [6], day=40)
    fresh, used = loaded.recommender(), Bundle.load(loaded_uri).recommender()
    for day in (70, 41, 39, 60):
        used.recommend(*users(used, [6], day), 5)
    assert fresh.recommend(state, times, 5)[0].tolist() == used.recommend(state, times, 5)[0].tolist()


def test_similar_items_have_the_highest_cosine(model: Recommender) -> None:
    time = bundle.last_time(model.history)
    rows, cosines = model.similar(3, 4, time)
    unit = model.models.retrievers["two_tower"].vectors_at(time)[:, :-1]  # type: ignore[attr-defined]
    every = unit @ unit[3]
    every[[0, 3]] = -np.inf
    assert rows.tolist() == np.argsort(-every, kind="stable")[:4].tolist()
    assert 3 not in rows
    assert (np.abs(cosines) <= 1 + 1e-5).all()


@pytest.mark.parametrize("share", [1.0, 0.5, 0.02])
def test_a_graph_finds_what_exact_search_finds_whatever_may_be_found(
    share: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(item_index, "_VISIT", 1)  # so small a catalogue is looked through at once
    rng = np.random.default_rng(0)
    vectors, queries, asked = (rng.normal(size=(n, 16)).astype(np.float32) for n in (4_000, 20, 50))
    index = ItemIndex(vectors)
    index.link(GRAPH, asked)
    among = ItemSet(rng.random(4_000) < share)
    barred = [rng.choice(4_000, 30, replace=False) for _ in queries]
    rows, scores = index.nearest(queries, among, barred, 10)
    assert rows.shape[1] == (10 if share > 0.1 else among.count)
    found, exact = 0, queries @ vectors.T
    for q, mine in enumerate(barred):
        allowed = among.held & ~np.isin(np.arange(4_000), mine)
        listed = rows[q][rows[q] >= 0]
        assert allowed[listed].all() and np.allclose(scores[q][rows[q] >= 0], exact[q, listed], atol=1e-4)
        found += np.isin(np.argsort(-np.where(allowed, exact[q], -np.inf))[:10], listed).sum()
    assert index.recall >= GRAPH.recall and found / 200 >= 0.95


def test_a_graph_looks_at_more_until_it_finds_what_is_wanted() -> None:
    """Independent vectors are the hardest case."""
    rng = np.random.default_rng(1)
    vectors, asked = (rng.normal(size=(n, 32)).astype(np.float32) for n in (3_000, 100))
    reached = {}
    for recall in (0.5, 0.99):
        wanted = GRAPH.model_copy(update={"recall": recall, "links": 16, "ef_construction": 40})
        index = ItemIndex(vectors)
        index.link(wanted, asked)
        reached[recall] = index.ef, index.recall
    assert reached[0.5][0] < reached[0.99][0] and reached[0.5][1] < 0.99 <= reached[0.99][1]


def test_items_by_one_order_are_those_of_a_look_at_all_of_them() -> None:
    rng = np.random.default_rng(2)
    scores, hashes = rng.integers(0, 9, 300).astype(np.float32), id_hash([f"i{n}" for n in range(300)])
    users = id_hash(["a", "b", "c"])
    barred = [rng.choice(300, n, replace=False) for n in (0, 40, 290)]
    among = ItemSet(rng.random(300) < 0.4)
    rows, best = FixedOrder.of(scores).best(among, barred, 20, users, hashes)
    allowed = np.repeat(among.held[None], 3, axis=0)
    for q, mine in enumerate(barred):
        allowed[q, mine] = False
    expected = top_k(np.where(allowed, scores, np.float32(-np.inf)), 20, users, hashes)
    np.testing.assert_array_equal(rows, expected[0])
    np.testing.assert_array_equal(best, expected[1])


def test_the_approximate_recommender_mostly_agrees(loaded: Bundle, loaded_uri: str) -> None:
    state, times = users(loaded.recommender(), [1, 2, 3])
    exact, _ = loaded.recommender(6).recommend(state, times, 5)
    near, _ = Bundle.load(loaded_uri).recommender(6, approximate=ApproximateConfig(above=5)).recommend(state, times, 5)
    assert np.mean([np.isin(a, b).mean() for a, b in zip(exact, near, strict=True)]) > 0.8


def test_what_is_made_of_a_moment_is_kept_for_the_last_ones_and_at_least_one(monkeypatch: pytest.MonkeyPatch) -> None:
    made = list[int]()

    def make(moment: int) -> np.ndarray:
        made.append(moment)
        return np.zeros(10, np.float32)

    for budget, expected in ((80, [1, 2, 3, 2]), (8, [1, 2, 1, 3, 1, 2])):  # two of 40 bytes; one that is larger
        monkeypatch.setattr(by_moment, "CACHE_BYTES", budget)
        held = by_moment.cached(make)
        made.clear()
        for moment in (1, 2, 1, 3, 1, 2):
            held(moment)
        assert made == expected


def test_a_retriever_sees_new_weights_only_after_refit(loaded_uri: str) -> None:
    bundle = Bundle.load(loaded_uri)
    towers = bundle.models.retrievers["two_tower"]
    assert isinstance(towers, TwoTowerRetriever)
    before = towers.vectors_at(bundle.last_time).copy()
    towers.net.bias.weight.data += 1
    assert np.array_equal(towers.vectors_at(bundle.last_time), before)
    towers.refit()
    assert not np.array_equal(towers.vectors_at(bundle.last_time), before)


RATERS = {"bias": {}, "rates": {}, "boosted": {}, "network": {"embedding_dim": 4, "hidden": (8,), "epochs": 2}}


@pytest.fixture(scope="module")
def united(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """Several retrievers, a boosted ranker, predictions of stars and likes: trained, saved, loaded."""
    world = folds(tmp_path_factory.mktemp("united"), World.random())
    retrievers = {"two_tower": TOWERS, "item_knn": {}, "recent_popularity": {}}
    config = tiny_config(retrievers=retrievers, ranker="lambdarank", raters=RATERS)
    models = train(config, world.storage, world.validation, world.test, ["text"])["text"]
    return Bundle.load(bundle.assemble(config, world.storage, world.test, models).root)


def test_several_retrievers_give_in_turn_and_their_scores_are_columns(united: Bundle) -> None:
    model = united.recommender(8)
    state, times = users(model, [0, 1, 2, 3])
    found = model.retrieve(state, times, 8)
    assert found.columns.shape == (4, 8, 3) and model.columns[:3] == ("two_tower", "item_knn", "recent_popularity")
    requests = model.requests(state, times)
    firsts = [retrieve(m, requests, 8)[0] for m in united.models.retrievers.values()]
    for q in (1, 2, 3):
        listed = found.rows[q][found.rows[q] >= 0]
        assert len(set(listed.tolist())) == len(listed) > 3
        assert listed[0] == firsts[0][q, 0]
        assert {int(f[q, 0]) for f in firsts} <= set(listed.tolist())
        for column, m in enumerate(united.models.retrievers.values()):
            said = m.scores_of(requests.take(np.array([q])), listed[None])[0]
            assert np.allclose(said, found.columns[q, found.rows[q] >= 0, column], atol=1e-4)
    assert (found.columns[0] == 0).all() and model.nothing_known(state)[0]  # popularity answers for nobody
    rows, scores = model.recommend(state, times, 3)
    assert (rows >= 0).all() and (np.diff(scores, axis=1) <= 0).all()


def test_a_bundle_of_several_models_verifies_predicts_and_rates(united: Bundle) -> None:
    bundle.verify(united)
    model, time = united.recommender(), united.last_time
    state, _ = users(model, [4])
    items = np.arange(1, 10)
    probability = model.rank(state, items, time).probability
    assert ((probability > 0) & (probability < 1)).all() and len(set(probability.tolist())) > 3
    rated = model.rate(4, items, time)
    assert rated["bias"].min() >= 1 and rated["bias"].max() <= 5
    assert ((rated["rates"] > 0) & (rated["rates"] < 1)).all()
    assert all(np.isfinite(rated[name]).all() and len(set(rated[name])) > 3 for name in ("boosted", "network"))
    assert set(united.settings.models.models) == {
        *(f"retriever.{name}" for name in ("two_tower", "item_knn", "recent_popularity")),
        *("ranker", *(f"rater.{name}" for name in RATERS)),
    }
