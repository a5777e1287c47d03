"""History against plain loops, its storage, and somebody new."""

from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
from factories.features import DIM, START, World, by_event, encode

from llmrec.features.asof.events import BLOCK, EntityEvents
from llmrec.features.asof.history import History
from llmrec.features.asof.interactions import Interactions
from llmrec.features.asof.logs.entity_log import SEQUENCES, VECTORS
from llmrec.features.asof.logs.sums import BlockedSums
from llmrec.features.asof.state import TEXT_VARIANTS, ItemState, UserState
from llmrec.features.transforms.projection import Moments, Projection
from llmrec.models.base import windows
from llmrec.schema import DAY_MS
from llmrec.schema import Column as C


@pytest.fixture(scope="module")
def world() -> World:
    return World.random(n_users=12, n_items=40, n_reviews=300)


@pytest.fixture(scope="module")
def history(world: World) -> History:
    return world.prepare().history


def assert_equal(a: UserState | ItemState, b: UserState | ItemState, *, but: tuple[str, ...] = ()) -> None:
    for f in fields(a):
        if f.name not in but:
            np.testing.assert_array_equal(getattr(a, f.name), getattr(b, f.name), err_msg=f.name)


@pytest.mark.parametrize("side", ["user", "item"])
def test_states_equal_a_plain_loop_over_earlier_events(history: History, side: str) -> None:
    data, days, said = history.data, history.settings.profile_days, by_event(history, VECTORS)
    rows = getattr(data, f"{side}_rows")
    state = getattr(history, f"{side}s_at")(rows, data.times)
    for e, (row, time) in enumerate(zip(rows, data.times, strict=True)):
        past = (rows == row) & (data.times < time)
        age = (time - data.times[past]) / DAY_MS
        vectors, spoke = said[past, :-1], said[past, -1]
        assert state.count[e] == past.sum()
        assert state.stars[e].tolist() == [past.sum(), data.stars[past].sum(), (data.stars[past] ** 2).sum()]
        weights = [np.ones(len(age)), np.exp(-age / days), data.stars[past] >= 4, data.stars[past] <= 2]
        for v, weight in enumerate(weights):
            total = (weight * spoke).sum()
            expected = (vectors * weight[:, None]).sum(0) / (total or 1)
            np.testing.assert_allclose(state.text[e, v], expected, atol=2e-6)
            np.testing.assert_allclose(state.text_weight[e, v], total, rtol=1e-6)
        last = np.flatnonzero(past)[-3:]
        expected = said[last, :-1].sum(0) / (said[last, -1].sum() or 1)
        np.testing.assert_allclose(state.text_last[e], expected, atol=2e-6)
        for w, window in enumerate(history.settings.popularity_days):
            assert state.window[e, w] == (age <= window).sum()
            np.testing.assert_allclose(state.decayed[e, w], np.exp(-age / window).sum(), rtol=1e-9)
        assert state.first[e] == (data.times[past].min() if past.any() else time)
        assert state.last[e] == (data.times[past].max() if past.any() else time)
        world = data.stars[data.times < time]
        assert state.global_stats[e].tolist() == [len(world), world.sum(), (world**2).sum(), len(world)]


def test_the_sequence_is_the_last_items_oldest_first(history: History) -> None:
    data, length, sequences = history.data, history.settings.history_length, by_event(history, SEQUENCES)
    state = history.users_at(data.user_rows, data.times)
    for e, (user, time) in enumerate(zip(data.user_rows, data.times, strict=True)):
        past = np.flatnonzero((data.user_rows == user) & (data.times < time))[-length:]
        padding = [0] * (length - len(past))
        assert state.history[e].tolist() == [*padding, *data.item_rows[past]]
        assert state.history_times[e].tolist() == [*padding, *data.times[past]]
        np.testing.assert_array_equal(state.sequence[e], sequences[past[-1]] if len(past) else 0)
        assert history.seen(int(user), int(time))[-length:].tolist() == data.item_rows[past].tolist()
        items = history.items_at(data.item_rows[past], np.full(len(past), time))
        np.testing.assert_array_equal(state.history_text[e, length - len(past) :], items.text[:, 0])


def test_vectors_of_users_are_means_of_their_past_items_that_have_one(history: History) -> None:
    data = history.data
    own = data.vectors_of_items
    state, items = history.users_at(data.user_rows, data.times), history.items_at(data.item_rows, data.times)
    np.testing.assert_array_equal(items.vectors, own[data.item_rows])
    assert 0 < own.any(axis=1).sum() < len(own) - 1
    for e, (user, time) in enumerate(zip(data.user_rows, data.times, strict=True)):
        past = data.item_rows[(data.user_rows == user) & (data.times < time)]
        seen = own[past][own[past].any(axis=1)]
        expected = seen.mean(axis=0) if len(seen) else np.zeros(own.shape[1])
        np.testing.assert_allclose(state.vectors[e], expected, atol=1e-6)
        np.testing.assert_array_equal(state.last_vectors[e], own[past[-1]] if len(past) else 0 * own[0])


def test_counts_alone_are_those_of_the_whole_state(history: History) -> None:
    data = history.data
    counts, state = (ask(data.item_rows, data.times) for ask in (history.item_counts, history.items_at))
    np.testing.assert_array_equal(counts.count, state.count)
    np.testing.assert_array_equal(counts.decayed, state.decayed)
    np.testing.assert_array_equal(counts.known_since, state.known_since)


def test_candidates_are_dated_or_seen_strictly_before(world: World, history: History) -> None:
    time = START + 20 * DAY_MS
    seen = {r[C.ITEM_ID] for r in world.reviews if r[C.TIMESTAMP] < time}
    dated = {i[C.ITEM_ID] for i in world.items if i[C.AVAILABLE_FROM] is not None}
    names = np.array(history.item_ids)
    assert set(names[history.known_items(time)]) == seen
    assert set(names[history.known_items(time + 1)]) == dated | {
        r[C.ITEM_ID] for r in world.reviews if r[C.TIMESTAMP] <= time
    }


def test_what_is_listed_keeps_the_dates_of_items_which_nothing_else_does(world: World) -> None:
    ends = START + 50 * DAY_MS
    told = {"i001": {C.AVAILABLE_UNTIL: ends}, "i002": {C.AVAILABLE_UNTIL: 0}, "i003": {C.AVAILABLE_FROM: ends}}
    items = [item | told.get(item[C.ITEM_ID], {}) for item in world.items]
    history = replace(world, items=items).prepare().history
    data, names = Interactions.of_history(history), np.array(history.item_ids)
    listable, plain = windows(data, history), {}
    for time in (ends - 1, ends, ends + 1):
        known, listed = data.known.at(time), listable.at(time)
        assert known is data.known.at(time) and listed is listable.at(time)  # made once
        assert known.count == len(known.rows) == history.known_items(time).sum()
        plain[time - ends] = set(names[known.rows]) - set(names[listed.rows])
        assert not listed.held[~known.held].any()
    assert plain == {-1: {"i002", "i003"}, 0: {"i001", "i002", "i003"}, 1: {"i001", "i002"}}


def test_a_state_does_not_depend_on_its_batch(history: History) -> None:
    data = history.data
    batch = history.users_at(data.user_rows, data.times)
    for e in range(0, len(data.times), 17):
        alone = history.users_at(data.user_rows[e : e + 1], data.times[e : e + 1])
        assert_equal(alone, batch.take(np.array([e])))


def test_saved_and_loaded_history_answers_alike(history: History, tmp_path: Path) -> None:
    history.save(str(tmp_path))
    loaded, data = History.load(str(tmp_path)), history.data
    assert loaded.user_ids == history.user_ids
    assert_equal(loaded.users_at(data.user_rows, data.times), history.users_at(data.user_rows, data.times))
    assert_equal(loaded.items_at(data.item_rows, data.times), history.items_at(data.item_rows, data.times))
    with pytest.raises(FileNotFoundError, match="run featurize"):
        History.load(str(tmp_path / "nowhere"))


def test_one_heavy_entity_has_exact_sums_over_many_blocks() -> None:
    rng, n = np.random.default_rng(0), 20 * BLOCK + 7
    times = np.sort(rng.integers(0, 5_000 * DAY_MS, n))
    values = rng.normal(size=(n, 3)).astype(np.float32)
    events = EntityEvents.of(np.ones(n, np.int64), times, 3)
    sums = BlockedSums(events, lambda places: (values[places], np.ones((len(places), 2))), (np.inf, 30.0))
    queries = np.array([0, int(times[BLOCK - 1]) + 1, int(times[BLOCK]), 2_500 * DAY_MS, 10_000 * DAY_MS])
    found = sums.at(events.span(np.ones(5, np.int64), queries))
    for q, time in enumerate(queries):
        past = times < time
        decay = np.exp(-(time - times[past]) / DAY_MS / 30)
        np.testing.assert_allclose(found[q, 0], values[past].sum(0, dtype=np.float64), rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(found[q, 1], (values[past] * decay[:, None]).sum(0), rtol=1e-9, atol=1e-30)


def test_a_corpus_without_words_or_stars() -> None:
    world = World.random()
    silent = World([r | {C.TEXT: "", C.STARS: None} for r in world.reviews], [], world.settings).prepare().history
    state = silent.users_at(silent.user_rows(["nobody", "u001"]), np.full(2, START + 91 * DAY_MS))
    assert state.count[0] == 0 < state.count[1]
    assert not state.stars.any() and not state.text.any() and not state.sequence.any()
    assert silent.items_at(np.array([1, 0]), np.array([START, START])).count.tolist() == [0, 0]


def test_a_guest_is_what_they_like_and_say(history: History) -> None:
    liked = np.array([3, 7])
    vector = encode(["word1 word2"])[0]
    guest = history.cold_start_state(liked, vector, START + 80 * DAY_MS)
    own = history.reductions["text"](vector[None], "review")[0]
    assert guest.history[0].tolist() == [0, 0, 0, 3, 7]
    assert guest.count.tolist() == [2]
    own_images = history.data.vectors_of_items[liked]
    np.testing.assert_allclose(guest.vectors[0], own_images.mean(axis=0), atol=1e-6)
    np.testing.assert_array_equal(guest.last_vectors[0], own_images[1])
    for v, variant in enumerate(TEXT_VARIANTS):
        np.testing.assert_array_equal(guest.text[0, v], own * (variant != "disliked"))
    np.testing.assert_array_equal(guest.text_last[0], own)
    assert not guest.sequence.any()
    silent = history.cold_start_state(np.zeros(0, np.int64), None, START)
    assert_equal(silent, history.users_at(np.zeros(1, np.int64), np.array([START])))


def test_more_likes_than_the_history_holds_keep_the_last(history: History) -> None:
    guest = history.cold_start_state(np.arange(1, 9), None, START + 80 * DAY_MS)
    assert guest.history[0].tolist() == [4, 5, 6, 7, 8]
    assert guest.count.tolist() == [8]


def test_vectors_of_another_encoder_are_refused(history: History) -> None:
    with pytest.raises(ValueError, match=f"found 5 dimensions, expected {DIM}"):
        history.cold_start_state(np.zeros(0, np.int64), np.ones(5, np.float32), START)


def test_moments_of_parts_add_up_to_those_of_the_whole() -> None:
    vectors = encode([f"a{k} b{k % 7}" if k % 9 else "" for k in range(200)])
    parts = Moments.of(vectors[:60]) + Moments.of(vectors[60:])
    present = vectors[vectors.any(axis=1)].astype(np.float64)
    assert parts.count == len(present)
    np.testing.assert_allclose(parts.scatter, np.cov(present.T, ddof=0) * len(present), atol=1e-9)


def test_projection_keeps_most_variance_and_is_linear() -> None:
    rng = np.random.default_rng(0)
    vectors = (rng.normal(size=(500, 3)) @ rng.normal(size=(3, DIM)) + 5).astype(np.float32)
    projection = Projection.fit(Moments.of(vectors), Moments.of(vectors[:0]), 3)
    projected = projection(vectors, "review")
    assert projection.explained.sum() > 0.999
    np.testing.assert_allclose(projected.mean(0), 0, atol=1e-4)
    np.testing.assert_allclose((projected**2).sum(1).mean(), 1, rtol=1e-3)
    np.testing.assert_allclose(projection(vectors.mean(0, keepdims=True), "review")[0], projected.mean(0), atol=1e-4)
    assert not projection(np.zeros((1, DIM), np.float32), "review").any()
