"""A need joins candidates and scores by its weight: 0 is the recommender's order, 1 is search's."""

from pathlib import Path

import numpy as np
import pytest
from factories.bundles import make_bundle

from llmrec.bundle import Bundle
from llmrec.recommender import Recommender
from llmrec.search import Asked, AttributeFilter, Filters, by_need, needed_items
from llmrec.storage import Storage


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return Bundle.load(make_bundle(Storage(str(tmp_path_factory.mktemp("need"))), "b", searchable=True).root)


@pytest.fixture(scope="module")
def recommender(bundle: Bundle) -> Recommender:
    return bundle.recommender(10)


@pytest.mark.parametrize("user", ["u1", "nobody"])
def test_the_weight_goes_from_taste_to_need(bundle: Bundle, recommender: Recommender, user: str) -> None:
    assert bundle.search is not None
    history, time = bundle.history, bundle.last_time
    state = history.users_at(history.user_rows([user]), np.array([time]))
    found = recommender.retrieve(state, state.times, 10)
    allowed = history.known_items(time)
    allowed[history.seen(int(state.rows[0]), time)] = False
    matches = bundle.search.find(Asked("a tent, please"), allowed)
    tents = [row for row in range(1, 41) if "Tent" in (bundle.search.texts.title(row) or "") and allowed[row]]
    assert set(matches.best(50)) == set(tents)

    def ordered(need: float) -> list[int]:
        needed = needed_items(found, matches.answers, need, 10)
        assert set(needed.rows) == set(found.rows[0]) | set(matches.best(10))
        ranked = by_need(recommender, state, time, needed)
        assert list(ranked.scores) == sorted(ranked.scores, reverse=True)
        own = ranked.scale * (ranked.taste - ranked.taste.mean()) + ranked.parts.get("need", 0)
        np.testing.assert_allclose(ranked.scores, own, rtol=1e-4, atol=1e-5)
        return [int(row) for row in ranked.rows]

    by_taste = ordered(0)
    taste = recommender.rank(state, np.array(by_taste), time).scores
    assert list(taste) == sorted(taste, reverse=True)
    n = len(tents[:10])
    assert set(ordered(1)[:n]) <= set(tents)
    among = [sum(row in tents for row in ordered(need)[:5]) for need in (0, 0.5, 1)]
    assert among == sorted(among) and among[0] < among[-1]


def test_filters_hold_by_category_brand_and_price(bundle: Bundle) -> None:
    search = bundle.search
    assert search is not None
    allowed = AttributeFilter(bundle.history.data).allowed
    fields = [search.texts.fields(row) for row in range(41)]
    price = bundle.history.data.price

    def rows(filters: Filters) -> set[int]:
        return set(np.flatnonzero(allowed(filters)))

    assert rows(Filters(category=("TENT ",))) == {r for r in range(41) if fields[r].get("categories") == "tent"}
    both = rows(Filters(category=("tent", "lamp"), brand=("vohazi",)))
    assert both == {r for r in range(41) if fields[r].get("categories") == "lamp"}
    assert rows(Filters(price_from=3, price_to=5)) == {r for r in range(41) if 3 <= price[r] <= 5}
    assert len(rows(Filters(price_from=0))) == 39  # one has no price
    assert rows(Filters(brand=("nobody",))) == set()
    assert not Filters() and Filters(price_to=1.0)


def test_the_index_travels_with_the_bundle_and_a_changed_file_is_refused(tmp_path: Path) -> None:
    made = make_bundle(Storage(str(tmp_path)), "b", searchable=True)
    assert Bundle.load(made.root).search is not None
    file = next(Path(made.root).rglob("search/own/terms.arrow"))
    file.write_bytes(file.read_bytes().replace(b"kettle", b"kettlf"))
    with pytest.raises(ValueError, match=r"search/own/terms.arrow: damaged or changed"):
        Bundle.load(made.root)
