"""Families chosen in the configuration, and crosses."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from factories.features import START, Prepared, World

from llmrec.features.families.registry import crosses
from llmrec.schema import DAY_MS

T2 = START + 70 * DAY_MS
CROSSES = ("polynomial", "hashed", "low_rank")


def prepared(**changes: Any) -> Prepared:
    world = World.random(n_items=40)  # items 0 and 30 have the same attributes
    return replace(world, settings=world.settings.model_copy(update=changes)).prepare()


@pytest.fixture(scope="module")
def crossed() -> Prepared:
    return prepared(crosses=CROSSES, cross_columns=8)


def test_the_configuration_names_the_families() -> None:
    spec = prepared(include=("item_*", "text_similarity"), exclude=("item_price",)).spec
    assert spec.families == [
        "item_popularity",
        "item_rate",
        "item_stars",
        "item_age",
        "item_attributes",
        "text_similarity",
    ]
    assert spec.user_columns == []
    with pytest.raises(ValueError, match="no feature family 'colour'; the nearest is '"):
        prepared(include=("colour",))
    with pytest.raises(ValueError, match="leave no family"):
        prepared(exclude=("*",))


def test_crosses_are_made_where_asked_for(crossed: Prepared) -> None:
    names = {"cross_polynomial", "cross_hashed", "text_cross_low_rank"}
    assert names <= set(crossed.spec.families)
    assert not names & set(prepared(crosses=()).spec.families)
    without = crossed.spec.columns_of("no_text").pair
    assert {crossed.spec.pair_columns[k].family for k in without} >= {"cross_polynomial", "cross_hashed"}
    assert "text_cross_low_rank" not in {crossed.spec.pair_columns[k].family for k in without}


def test_a_cross_beside_one_user_is_the_cross_of_many(crossed: Prepared) -> None:
    history = crossed.history
    user = history.users_at(np.array([3]), np.array([T2]))
    items = history.items_at(np.arange(1, 41), np.full(40, T2))
    many = user.take(np.zeros(40, np.int64))
    for cross in (crosses.polynomial, lambda u, i: crosses.hashed(u, i, 8), lambda u, i: crosses.low_rank(u, i, 4)):
        np.testing.assert_array_equal(cross(user, items), cross(many, items))


def test_polynomial_is_every_product(crossed: Prepared) -> None:
    history = crossed.history
    user = history.users_at(np.array([3]), np.array([T2]))
    item = history.items_at(np.array([2]), np.array([T2]))
    found = dict(zip(crosses.POLYNOMIAL_NAMES, crosses.polynomial(user, item)[0], strict=True))
    expected = np.log1p(user.count[0]) * np.log1p((T2 - item.known_since[0]) / DAY_MS)
    np.testing.assert_allclose(found["user_events_x_item_days_known"], expected)
    assert len(found) == 16


def test_hashed_pairs_meet_in_one_bucket_and_absent_ones_nowhere(crossed: Prepared) -> None:
    history = crossed.history
    items = history.items_at(np.arange(1, 41), np.full(40, T2))
    nobody = history.users_at(np.array([0]), np.array([T2]))
    assert not crosses.hashed(nobody, items, 8).any()
    user = history.users_at(np.array([3]), np.array([T2]))
    found = crosses.hashed(user, items, 64)
    same = [(a, b) for a in range(40) for b in range(a) if (items.attributes[a] == items.attributes[b]).all()]
    assert same
    for a, b in same:
        np.testing.assert_array_equal(found[a], found[b])
    pairs = (user.history_attributes[:, -5:, :3] > 0).sum() * (items.attributes[:, :3] > 0).sum(axis=1)
    assert (np.abs(found).sum(axis=1) <= pairs).all()
    assert found.any(axis=1).all()
