"""FeatureSpec: scaling, vocabularies, variants, storage, and defined values for what is unknown."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from factories.features import T2, Prepared, World
from scipy.stats import skew
from sklearn.preprocessing import PowerTransformer, QuantileTransformer

from llmrec.features.dataset.examples import example_table
from llmrec.features.dataset.pairs import Pairs
from llmrec.features.dataset.spec import FeatureSpec
from llmrec.features.families.columns import FeatureSelection
from llmrec.features.transforms.scaling import CLIP, Scaler
from llmrec.schema import Column as C


@pytest.fixture(scope="module")
def prepared() -> Prepared:
    return World.random().prepare()


def test_training_features_are_centred_and_finite(prepared: Prepared) -> None:
    table = example_table(prepared.history, prepared.spec, prepared.clicks[0])
    for side in ("user", "item", "pair"):
        columns = getattr(prepared.spec, f"{side}_columns")
        values = np.stack(table[f"{side}_features"].to_numpy())
        assert values.shape == (table.num_rows, len(columns))
        assert np.isfinite(values).all()
        scalars = [k for k, c in enumerate(columns) if "_profile" not in c.family and np.abs(values[:, k]).max() < CLIP]
        assert np.abs(values[:, scalars].mean(axis=0)).max() < 0.05


def test_the_arm_without_text_holds_every_other_family(prepared: Prepared) -> None:
    spec = prepared.spec
    every, without = spec.columns_of("text"), spec.columns_of("no_text")
    for side in ("user", "item", "pair"):
        columns = getattr(spec, f"{side}_columns")
        assert getattr(every, side).tolist() == list(range(len(columns)))
        left = {columns[k].family for k in getattr(without, side)}
        assert left == {c.family for c in columns if not c.family.startswith("text")}
    assert len(without.user) < len(every.user)


def test_families_can_be_chosen_by_pattern(prepared: Prepared) -> None:
    spec = prepared.spec
    chosen = spec.select(include=("item_*",), exclude=("item_price",))
    assert len(chosen.user) == len(chosen.pair) == 0
    families = {spec.item_columns[k].family for k in chosen.item}
    assert families == {f for f in spec.families if f.startswith("item_")} - {"item_price"}
    with pytest.raises(
        ValueError, match=r"no feature family 'no_such'; the nearest is '\w+' of collaborative, context"
    ):
        spec.select(exclude=("no_such",))
    with pytest.raises(ValueError, match="'both': expected one of text, no_text"):
        spec.columns_of("both")


@pytest.mark.parametrize("normalisation", ["standard", "power", "quantile"])
def test_columns_that_are_asked_for_are_those_of_all(normalisation: str) -> None:
    """To the bit: families that nobody reads are left out, vectors of which a part is read are scaled whole."""
    world = World.random()
    settings = world.settings.model_copy(update={"normalisation": normalisation})
    prepared = replace(world, settings=settings).prepare()
    spec, data = prepared.spec, prepared.history.data
    last = slice(-40, None)
    users = prepared.history.users_at(data.user_rows[last], data.times[last])
    items = prepared.history.items_at(data.item_rows[last], data.times[last])
    made = {
        "user": spec.user_features(users),
        "item": spec.item_features(items),
        "pair": spec.pair_features(users, items),
    }
    for chosen in (
        spec.columns_of("no_text"),
        spec.select(exclude=("item_*",)),
        FeatureSelection(*(np.arange(n) for n in (1, 2, 0))),
        FeatureSelection(*(np.arange(0, whole.shape[1], 3) for whole in made.values())),  # parts of vectors
    ):
        for side, whole in made.items():
            states = (users, items) if side == "pair" else (users if side == "user" else items,)
            columns = getattr(chosen, side)
            asked = getattr(spec, f"{side}_features")(*states, columns)
            np.testing.assert_array_equal(asked, whole[:, columns])


def test_a_run_without_text_makes_no_text_family() -> None:
    world = World.random()
    off = replace(world, settings=world.settings.model_copy(update={"text": False})).prepare().spec
    assert not [f for f in off.families if f.startswith("text")]


def test_vocabularies_hold_training_alone_and_0_is_unknown(prepared: Prepared) -> None:
    history, spec = prepared.history, prepared.spec
    data, rows = history.data, np.arange(len(history.user_ids))
    trained = np.unique(data.user_rows[data.times < T2])
    assert spec.user_idx(trained).tolist() == list(range(1, spec.n_users))
    assert (spec.user_idx(np.setdiff1d(rows, trained)) == 0).all()
    assert spec.user_idx(np.array([0, 10_000])).tolist() == [0, 0]
    assert spec.item_idx(np.array([[0, 1]])).dtype == np.int32


def test_saved_and_loaded_spec_answers_alike(prepared: Prepared, tmp_path: Path) -> None:
    history, spec = prepared.history, prepared.spec
    spec.save(str(tmp_path))
    loaded = FeatureSpec.load(str(tmp_path))
    users = history.users_at(history.data.user_rows, history.data.times)
    items = history.items_at(history.data.item_rows, history.data.times)
    np.testing.assert_array_equal(loaded.user_features(users), spec.user_features(users))
    np.testing.assert_array_equal(loaded.item_features(items), spec.item_features(items))
    np.testing.assert_array_equal(loaded.pair_features(users, items), spec.pair_features(users, items))
    np.testing.assert_array_equal(loaded.history_idx(users), spec.history_idx(users))
    assert loaded.user_columns == spec.user_columns
    with pytest.raises(FileNotFoundError, match="run featurize"):
        FeatureSpec.load(str(tmp_path / "nowhere"))


def test_rows_say_whether_their_item_was_a_candidate(prepared: Prepared) -> None:
    history = prepared.history
    table = example_table(history, prepared.spec, prepared.clicks[0])
    rows, times = history.item_rows(table[C.ITEM_ID].to_pylist()), table[C.TIMESTAMP].to_pylist()
    known = [bool(history.known_items(t)[row]) for row, t in zip(rows, times, strict=True)]
    assert table[C.CANDIDATE].to_pylist() == known
    negative = np.array(table[C.CLICK]) == 0
    assert np.array(known)[negative].all()
    assert not np.array(known)[~negative].all(), "the world has no click on a new item"


def test_the_same_row_offline_and_online(prepared: Prepared) -> None:
    """The job computes in batches over clicks, the server one user beside many candidates."""
    history, spec, clicks = prepared.history, prepared.spec, prepared.clicks[1]
    table = example_table(history, spec, clicks)
    for query in set(table[C.QUERY_ID].to_pylist()):
        rows = table.filter(np.array(table[C.QUERY_ID]) == query)
        time = np.array(rows[C.TIMESTAMP])
        said = [history.data.context_names[c] for c in history.data.contexts[query] if c]  # "device=mobile"
        asked = history.request_contexts(dict(s.split("=") for s in said))
        user = history.users_at(history.user_rows(rows[C.USER_ID].to_pylist())[:1], time[:1], asked)
        items = history.items_at(history.item_rows(rows[C.ITEM_ID].to_pylist()), time)
        online = {
            "user": np.repeat(spec.user_features(user), rows.num_rows, axis=0),
            "item": spec.item_features(items),
            "pair": spec.pair_features(user, items),
        }
        for side, values in online.items():
            np.testing.assert_allclose(values, np.stack(rows[f"{side}_features"].to_numpy()), rtol=0, atol=2e-6)


def test_unknown_and_empty_have_defined_values(prepared: Prepared) -> None:
    history, spec = prepared.history, prepared.spec
    nobody = history.users_at(np.array([0]), np.array([T2]))
    nothing = history.items_at(np.array([0]), np.array([T2]))
    values = spec.user_features(nobody)
    assert np.isfinite(values).all()
    text = [k for k, c in enumerate(spec.user_columns) if c.family.startswith("text")]
    assert not values[:, text].any()
    assert np.isfinite(spec.pair_features(nobody, nothing)).all()
    assert not spec.history_idx(nobody).any()


def test_rows_after_the_cutoff_are_refused(prepared: Prepared) -> None:
    data = prepared.history.data
    rows = Pairs(data.user_rows, data.item_rows, data.times)
    with pytest.raises(ValueError, match="lie at or after the cutoff"):
        FeatureSpec.fit(prepared.history.settings, prepared.history, rows, T2)


def test_states_of_unequal_length_are_refused(prepared: Prepared) -> None:
    history = prepared.history
    users = history.users_at(np.array([1, 2]), np.array([T2, T2]))
    with pytest.raises(ValueError, match="found 2 users and 1 items"):
        prepared.spec.pair_features(users, history.items_at(np.array([1]), np.array([T2])))


def test_a_vector_keeps_its_proportions_and_its_absence() -> None:
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(400, 3)) * [3, 1, 0.1] + 2
    vectors[:40] = 0
    scaler = Scaler.fit(np.column_stack([rng.normal(size=400) * 9, vectors, np.ones(400)]), np.array([-1, 0, 0, 0, -1]))
    scaled = scaler(np.column_stack([np.full(400, 1e9), vectors, np.full(400, 5.0)]))
    assert (scaled[:, 0] == CLIP).all()
    assert not scaled[:40, 1:4].any()
    spread = scaled[40:, 1:4].std(axis=0)
    np.testing.assert_allclose(spread / spread[0], vectors[40:].std(axis=0) / vectors[40:, 0].std(), rtol=1e-5)
    assert not scaled[:, 4].any(), "a column that was constant in training says nothing"


def skewed() -> tuple[np.ndarray, np.ndarray]:
    """500 rows of three scalars, skewed, tied and constant, and of a vector of two."""
    rng = np.random.default_rng(1)
    scalars = np.column_stack([rng.lognormal(0, 2, 500), rng.integers(0, 3, 500), np.full(500, 4.0)])
    return np.column_stack([scalars, rng.normal(size=(500, 2))]), np.array([-1, -1, -1, 7, 7])


def test_power_agrees_with_scikit_learn() -> None:
    values, block = skewed()
    scaled = Scaler.fit(values, block, "power")(values)
    expected = PowerTransformer().fit_transform(values[:, :2])
    np.testing.assert_allclose(scaled[:, :2], expected, rtol=1e-4, atol=1e-4)
    assert abs(skew(scaled[:, 0])) < 0.5 < 4 < abs(skew(values[:, 0]))


def test_quantile_agrees_with_scikit_learn() -> None:
    values, block = skewed()
    scaled = Scaler.fit(values, block, "quantile")(values)
    expected = QuantileTransformer(n_quantiles=101, output_distribution="normal").fit_transform(values[:, :1])[:, 0]
    inner = np.abs(expected) < 2.5  # the ends are cut less far out here
    assert np.corrcoef(scaled[inner, 0], expected[inner])[0, 1] > 0.9999
    assert len(np.unique(scaled[:, 1])) == 3


@pytest.mark.parametrize("method", ["power", "quantile", "none"])
def test_a_vector_is_no_scalar_to_any_method(method: Any) -> None:
    values, block = skewed()
    standard, other = (Scaler.fit(values, block, m)(values)[:, 3:] for m in ("standard", method))
    np.testing.assert_allclose(other, values[:, 3:] if method == "none" else standard, rtol=1e-6)


@pytest.mark.parametrize(
    "changes",
    [
        {"normalisation": "power"},
        {"normalisation": "quantile"},
        {"text_reduction": "random"},
        {"text_reduction": "autoencoder"},
    ],
)
def test_every_choice_of_the_configuration_runs_and_loads(changes: dict[str, Any], tmp_path: Path) -> None:
    world = World.random()
    made = replace(world, settings=world.settings.model_copy(update=changes)).prepare()
    made.spec.save(str(tmp_path))
    users = made.history.users_at(made.history.data.user_rows, made.history.data.times)
    features = made.spec.user_features(users)
    assert np.isfinite(features).all()
    np.testing.assert_array_equal(FeatureSpec.load(str(tmp_path)).user_features(users), features)
