"""What is remembered answers as what is read from the history, until somebody says that it is outdated."""

from dataclasses import fields
from typing import Any

import numpy as np
import pytest
from factories.bundles import make_bundle

from llmrec.bundle import Bundle
from llmrec.models.click_rows import item_facts
from llmrec.state_cache import LastItems, StateCache
from llmrec.storage import Storage


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return Bundle.load(make_bundle(Storage(str(tmp_path_factory.mktemp("store"))), "first").root)


class Reads:
    """A history that counts what is asked of it."""

    def __init__(self, history: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked: list[str] = []
        for method in ("users_at", "items_at"):
            monkeypatch.setattr(history, method, self._counting(method, getattr(history, method)))

    def _counting(self, name: str, method: Any) -> Any:
        def counted(*args: Any) -> Any:
            self.asked.append(name)
            return method(*args)

        return counted


@pytest.fixture
def reads(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> Reads:
    return Reads(bundle.history, monkeypatch)


def nothing(bundle: Bundle) -> np.ndarray:
    return bundle.history.request_contexts({})


@pytest.mark.parametrize("days", [0, -40, 3])
def test_answers_are_the_same_with_and_without(bundle: Bundle, days: int) -> None:
    time = np.array([bundle.last_time + days * 86_400_000])
    plain, cached = bundle.recommender(20), bundle.recommender(20, clock=bundle.last_time)
    for user_id in ("", *bundle.history.user_ids[1:12], "u3"):
        asked = bundle.history.request_contexts({"device": "web"})
        first, second = (r.user(user_id, int(time[0]), asked) for r in (plain, cached))
        (rows, scores), (same_rows, same_scores) = plain.recommend(first, time, 10), cached.recommend(second, time, 10)
        assert rows.tolist() == same_rows.tolist()
        np.testing.assert_allclose(scores, same_scores, rtol=0, atol=1e-6)


def test_a_context_of_a_request_is_no_other_ones(bundle: Bundle) -> None:
    recommender = bundle.recommender(20, clock=bundle.last_time)
    of = {
        d: recommender.user("u1", bundle.last_time, bundle.history.request_contexts({"device": d}))
        for d in ("web", "mobile")
    }
    assert of["web"].contexts.tolist() != of["mobile"].contexts.tolist()


def test_a_user_is_read_once_and_again_when_forgotten(bundle: Bundle, reads: Reads) -> None:
    cache = StateCache(bundle.context, bundle.last_time)
    row, none = int(bundle.history.user_rows(["u1"])[0]), nothing(bundle)
    reads.asked.clear()
    states = [cache.user(row, bundle.last_time, none) for _ in range(3)]
    assert reads.asked == ["users_at"]
    cache.forget_user(row + 1)
    cache.user(row, bundle.last_time, none)
    assert len(reads.asked) == 1
    cache.forget_user(row)
    cache.user(row, bundle.last_time, none)
    assert len(reads.asked) == 2
    cache.forget_item(int(states[0].history[0, -1]))  # whoever had the item
    cache.user(row, bundle.last_time, none)
    assert len(reads.asked) == 3
    for _ in range(2):  # another clock is nobody's to remember
        cache.user(row, bundle.last_time - 1, none)
    assert len(reads.asked) == 5


def test_items_are_read_when_the_bundle_is_loaded_and_again_when_forgotten(bundle: Bundle, reads: Reads) -> None:
    cache, rows = StateCache(bundle.context, bundle.last_time), np.array([3, 1, 3])
    reads.asked.clear()
    cache.items(rows, bundle.last_time)
    assert reads.asked == []
    cache.forget_item(2)
    cache.items(rows, bundle.last_time)
    assert reads.asked == []
    cache.forget_item(1)
    cache.items(rows, bundle.last_time)
    assert reads.asked == ["items_at"]
    cache.items(rows, bundle.last_time + 1)
    assert len(reads.asked) == 2


def test_a_catalogue_that_would_fill_the_memory_is_read_as_it_is_asked_for(bundle: Bundle, reads: Reads) -> None:
    small = StateCache(bundle.context, bundle.last_time, max_item_bytes=1_000)
    reads.asked.clear()
    found = small.items(np.array([2, 5]), bundle.last_time)
    assert reads.asked == ["items_at"]
    kept = StateCache(bundle.context, bundle.last_time).items(np.array([2, 5]), bundle.last_time)
    np.testing.assert_array_equal(found.features, kept.features)


@pytest.mark.parametrize("share", [0.02, 0.3, 0.9])
def test_of_a_large_catalogue_the_last_items_are_kept_and_are_what_the_history_says(
    bundle: Bundle, share: float
) -> None:
    n = len(bundle.history.item_ids)
    every = item_facts(bundle.context, np.arange(n), bundle.last_time)
    asked, cache = list[int](), StateCache(bundle.context, bundle.last_time, int(share * every.nbytes))
    assert isinstance(cache._items, LastItems)
    read = cache._items._read
    cache._items._read = lambda rows: asked.append(len(rows)) or read(rows)  # type: ignore[func-returns-value]
    draw = np.random.default_rng(0)
    for size in (1, 5, 5, 12, 3, 30, 8, 2, 20, 1, 12):
        rows = draw.integers(0, n, size)
        found = cache.items(rows, bundle.last_time)
        np.testing.assert_array_equal(found.features, every.features[rows])
        for field in fields(every.state):
            np.testing.assert_array_equal(getattr(found.state, field.name), getattr(every.state, field.name)[rows])
    before = len(asked)
    if share == 0.9:
        for _ in range(2):
            cache.items(np.array([3, 1, 3]), bundle.last_time)
        assert len(asked) <= before + 1  # the second time nothing is read
