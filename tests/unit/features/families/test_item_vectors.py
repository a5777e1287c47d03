"""Families of the items' vector columns: values, what is missing, variants, choice, and columns that do not fit."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from factories.features import IMAGE, T2, Prepared, World

from llmrec.features.families.item_vectors import vector_length
from llmrec.schema import DAY_MS, items_schema
from llmrec.schema import Column as C

FAMILIES = {f"{IMAGE}_user", f"{IMAGE}_item", f"{IMAGE}_similarity"}


@pytest.fixture(scope="module")
def prepared() -> Prepared:
    return World.random().prepare()


def columns(prepared: Prepared, side: str, family: str) -> np.ndarray:
    """Which features of a side belong to a family."""
    return np.array([c.family == family for c in getattr(prepared.spec, f"{side}_columns")])


def test_both_arms_hold_them_and_a_pattern_leaves_them_out(prepared: Prepared) -> None:
    assert set(prepared.spec.families) >= FAMILIES
    for variant in ("text", "no_text"):
        chosen = prepared.spec.columns_of(variant)
        found = {getattr(prepared.spec, f"{s}_columns")[k].family for s in ("user", "item", "pair")
                 for k in getattr(chosen, s)}  # fmt: skip
        assert found >= FAMILIES
    world = World.random()
    without = replace(world, settings=world.settings.model_copy(update={"exclude": ("vector_*",), "text": False}))
    assert not [f for f in without.prepare().spec.families if f.startswith(("vector", "text"))]


def test_a_corpus_without_vectors_has_no_such_family() -> None:
    world = World.random()
    bare = replace(world, items=[i | {IMAGE: None} for i in world.items]).prepare()
    assert not [f for f in bare.spec.families if f.startswith("vector")]
    assert set(bare.spec.families) == set(world.prepare().spec.families) - FAMILIES


def test_similarities_are_cosines_of_the_mean_and_of_the_last_item(prepared: Prepared) -> None:
    history, spec = prepared.history, prepared.spec
    data = history.data
    users, items = history.users_at(data.user_rows, data.times), history.items_at(data.item_rows, data.times)
    places = columns(prepared, "pair", f"{IMAGE}_similarity")
    found = spec.unscaled("pair", users, items)[:, places]

    def cosine(a: np.ndarray, b: np.ndarray) -> float:
        length = np.linalg.norm(a) * np.linalg.norm(b)
        return float(a @ b / length) if length else 0.0

    own = data.vectors_of_items
    for e, row in enumerate(data.item_rows):
        expected = [cosine(mine, own[row]) for mine in (users.vectors[e], own[users.history[e, -1]])]
        np.testing.assert_allclose(found[e], expected, atol=1e-5)
    user = users.take(np.array([100]))
    beside = spec.pair_features(user, items)
    np.testing.assert_array_equal(beside, spec.pair_features(user.take(np.zeros(len(items), np.int64)), items))


def test_an_item_without_a_vector_and_a_user_without_events_are_zero(prepared: Prepared) -> None:
    history, spec = prepared.history, prepared.spec
    bare = history.item_rows(["i000", "i005", "nowhere"])
    moments = np.full(3, T2)
    items = history.items_at(bare, moments)
    assert not spec.item_features(items)[:, columns(prepared, "item", f"{IMAGE}_item")].any()
    everybody = history.users_at(np.arange(1, 4), moments)
    assert everybody.vectors.any()
    assert not spec.unscaled("pair", everybody, items)[:, columns(prepared, "pair", f"{IMAGE}_similarity")].any()
    nobody = history.users_at(np.zeros(1, np.int64), moments[:1])
    assert not spec.user_features(nobody)[:, columns(prepared, "user", f"{IMAGE}_user")].any()


def test_a_reduction_is_fitted_on_items_known_before_the_cutoff() -> None:
    world = World.random()
    late = {C.ITEM_ID: "late", C.TITLE: "x", C.AVAILABLE_FROM: T2 + DAY_MS, IMAGE: [50.0] * 8}
    base, grown = world.prepare(), replace(world, items=[*world.items, world.items[0] | late]).prepare()
    for name, values in vars(base.history.reductions[IMAGE]).items():
        np.testing.assert_array_equal(values, getattr(grown.history.reductions[IMAGE], name))
    assert grown.history.items_at(grown.history.item_rows(["late"]), np.array([T2])).vectors.any()


def test_columns_of_uneven_vectors_are_refused() -> None:
    rows = [{C.ITEM_ID: "a", IMAGE: [1.0]}, {C.ITEM_ID: "b", IMAGE: [1.0, 2.0]}]
    with pytest.raises(ValueError, match=r"vector_image: found vectors of lengths \[1, 2\], expected one length"):
        vector_length(IMAGE, [pa.Table.from_pylist(rows, schema=items_schema(["image"]))[IMAGE]])
