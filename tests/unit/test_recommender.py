"""Two stages, candidates, ties, the fallback, guests: what evaluation, jobs and the server rely on."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from factories.features import START, World, encode
from factories.training import folds, tiny_config
from llmrec.models.modelfile import ScoreBlenderFile

from llmrec import bundle
from llmrec.bundle import Bundle
from llmrec.models.retrieval import ItemIndex, Retriever, Snapshots
from llmrec.recommender import Recommender
from llmrec.schema import DAY_MS, id_hash, tie_hash
from llmrec.training import train

DAY = 80


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    world = folds(tmp_path_factory.mktemp("recommender"), World.random())
    models = train(tiny_config(), world.storage, world.validation, world.test, ["text"])["text"]
    return Bundle.load(bundle.assemble(tiny_config(), world.storage, world.test, models).root)


@pytest.fixture
def model(loaded: Bundle) -> Recommender:
    return Recommender(loaded, retrieve=6)


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
    rows, scores = model.retrieve(state, times, 4)
    items = model.retriever.item_index(int(times[0])).vectors
    every = model.retriever.user_vectors(state) @ items.T
    for q in range(3):
        allowed = model.history.known_items(int(times[q]))
        allowed[model.history.seen(int(state.rows[q]), int(times[q]))] = False
        order = np.argsort(-np.where(allowed, every[q], -np.inf), kind="stable")[:4]
        assert rows[q].tolist() == order.tolist()
        assert np.allclose(scores[q], every[q, order], atol=1e-5)


def test_beyond_the_ranked_the_order_is_retrievals(model: Recommender) -> None:
    state, times = users(model, [4])
    retrieved, _ = model.retrieve(state, times, 10)
    rows, scores = model.recommend(state, times, 10)
    listed = int((rows[0] >= 0).sum())
    assert listed > 6
    assert set(rows[0, :6].tolist()) == set(retrieved[0, :6].tolist())
    assert rows[0, 6:listed].tolist() == retrieved[0, 6:listed].tolist()
    assert (np.diff(scores[0, :listed]) <= 0).all()


def test_the_second_stage_orders_by_its_blend(loaded: Bundle) -> None:
    only = ScoreBlenderFile(weights=dict.fromkeys(loaded.settings.models.blender.weights, 0.0) | {"click_logit": 1.0},
                        fallback="log_popularity")  # fmt: skip
    settings = loaded.settings.model_copy(
        update={"models": loaded.settings.models.model_copy(update={"blender": only})}
    )
    model = Recommender(replace(loaded, settings=settings), retrieve=6)
    state, times = users(model, [5])
    rows, scores = model.recommend(state, times, 6)
    probability = model.rank(state, rows[0], int(times[0]))
    assert (np.diff(probability) <= 0).all()
    assert np.allclose(1 / (1 + np.exp(-scores[0])), probability, atol=1e-5)


def test_the_click_probability_is_the_rankers_on_the_written_example(loaded: Bundle, model: Recommender) -> None:
    """One path offline and online: `rank` as of an event gives what the ranker gives for that row's features."""
    history, spec = loaded.history, loaded.spec
    event = int(np.searchsorted(history.data.times, START + 75 * DAY_MS))
    user, item, time = (int(a[event]) for a in (history.data.user_rows, history.data.item_rows, history.data.times))
    states = history.users_at(np.array([user]), np.array([time])), history.items_at(np.array([item]), np.array([time]))
    dense = np.concatenate(
        [spec.user_features(states[0]), spec.item_features(states[1]), spec.pair_features(*states)], axis=1
    )
    with torch.inference_mode():
        idx = spec.user_idx(states[0].rows), spec.item_idx(states[1].rows), spec.history_idx(states[0])
        ages = torch.as_tensor(spec.history_ages(states[0]))
        logit = loaded.ranker(*(torch.as_tensor(i).long() for i in idx), ages, torch.as_tensor(dense))
    assert np.allclose(model.rank(states[0], np.array([item]), time), torch.sigmoid(logit).numpy(), atol=1e-6)


def test_somebody_of_whom_nothing_is_known_gets_popularity_with_a_reason(model: Recommender) -> None:
    state, times = users(model, [0, 1])
    reasons = model.fallback_reasons(state)
    assert reasons[0] is not None
    assert "popularity" in reasons[0]
    assert reasons[1] is None
    rows, _ = model.recommend(state, times, 10)
    known = np.flatnonzero(model.history.known_items(int(times[0])))
    popular = model.bundle.blender.popularity(model.history.items_at(known, np.full(len(known), times[0])))
    ties = tie_hash(id_hash([""]), id_hash([model.history.item_ids[r] for r in known]))
    assert rows[0].tolist() == known[np.lexsort((ties, -popular))][:10].tolist()


def test_a_guest_is_answered_from_likes_or_from_words_alone(model: Recommender) -> None:
    time = START + DAY * DAY_MS
    by_likes = model.history.cold_start_state(np.array([3, 5]), None, time)
    by_words = model.history.cold_start_state(np.zeros(0, np.int64), encode(["word3 word4"])[0], time)
    assert model.fallback_reasons(by_likes) == model.fallback_reasons(by_words) == [None]
    rows, _ = model.recommend(by_likes, np.array([time]), 5)
    assert not np.isin(rows[0], [3, 5]).any()
    other = model.history.cold_start_state(np.zeros(0, np.int64), encode(["word30 word31 word32"])[0], time)
    scores = [model.rank(g, np.arange(1, 15), time) for g in (by_words, other)]
    assert not np.allclose(*scores)


def test_excluded_rows_are_not_listed(model: Recommender) -> None:
    state, times = users(model, [0, 2])
    first, _ = model.recommend(state, times, 3)
    rows, _ = model.recommend(state, times, 3, [first[0], first[1]])
    assert not np.isin(rows[0], first[0]).any()
    assert not np.isin(rows[1], first[1]).any()


def test_an_answer_does_not_change_with_what_happens_later(loaded: Bundle) -> None:
    """Vectors are cached by the day; a query in the morning must not see the evening, nor a later query's vectors."""
    state, times = users(Recommender(loaded), [6], day=40)
    fresh, used = Recommender(loaded), Recommender(loaded)
    for day in (70, 41, 39, 60):
        used.recommend(*users(used, [6], day), 5)
    assert fresh.recommend(state, times, 5)[0].tolist() == used.recommend(state, times, 5)[0].tolist()


def test_similar_items_have_the_highest_cosine(model: Recommender) -> None:
    rows, cosines = model.similar(3, 4)
    unit = model.retriever.item_index(model.bundle.last_time).vectors[:, :-1]
    every = unit @ unit[3]
    every[[0, 3]] = -np.inf
    assert rows.tolist() == np.argsort(-every, kind="stable")[:4].tolist()
    assert 3 not in rows
    assert (np.abs(cosines) <= 1 + 1e-5).all()


def test_an_hnsw_graph_finds_what_exact_search_finds() -> None:
    rng = np.random.default_rng(0)
    vectors, queries = (rng.normal(size=(n, 16)).astype(np.float32) for n in (2_000, 20))
    allowed = rng.random((20, 2_000)) < 0.5
    exact = ItemIndex(vectors).scores(queries, allowed, 10)
    found = ItemIndex(vectors, approximate=True).scores(queries, allowed, 10)
    listed = found > -np.inf
    assert (listed.sum(1) == 10).all()
    assert not (listed & ~allowed).any()
    assert np.allclose(found[listed], exact[listed], atol=1e-4)
    best = np.argsort(-exact, axis=1)[:, :10]
    assert np.take_along_axis(listed, best, axis=1).mean() > 0.9


def test_the_approximate_recommender_mostly_agrees(loaded: Bundle) -> None:
    state, times = users(Recommender(loaded), [1, 2, 3])
    exact, _ = Recommender(loaded, retrieve=6).recommend(state, times, 5)
    near, _ = Recommender(loaded, retrieve=6, approximate_above=5).recommend(state, times, 5)
    assert np.mean([np.isin(a, b).mean() for a, b in zip(exact, near, strict=True)]) > 0.8


def test_snapshots_forget_the_least_recently_used() -> None:
    made: list[int] = []

    def make(time: int) -> np.ndarray:
        made.append(time)
        return np.zeros(10, np.float32)

    cache = Snapshots(make, budget=80)  # two of 40 bytes
    for time in (1, 2, 1, 3, 1, 2):
        cache.at(time)
    assert made == [1, 2, 3, 2]


def test_a_retriever_sees_new_weights_only_after_refit(loaded: Bundle) -> None:
    towers = copy.deepcopy(loaded.two_tower)
    retriever = Retriever(towers, loaded.spec, loaded.history, loaded.spec.columns_of("text"))
    before = retriever.item_index(loaded.last_time).vectors.copy()
    towers.bias.weight.data += 1
    assert np.array_equal(retriever.item_index(loaded.last_time).vectors, before)
    retriever.refit()
    assert not np.array_equal(retriever.item_index(loaded.last_time).vectors, before)
