"""Selection finds planted columns, drops noise under a budget, and looks at training rows only."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from factories.features import World

from llmrec.config.features import SelectionConfig
from llmrec.features.dataset.spec import FeatureSpec
from llmrec.features.families.columns import FeatureColumn
from llmrec.features.transforms.gates import gates, price
from llmrec.features.transforms.selection import Ranking, rank, select

METHODS = ["f_score", "mutual_information", "gradient_boosting", "permutation", "gates"]


def planted() -> tuple[np.ndarray, np.ndarray]:
    """12 columns of noise but for 3 and 7, and a constant at 5."""
    rng = np.random.default_rng(0)
    values = rng.normal(size=(1_200, 12)).astype(np.float32)
    values[:, 5] = 1
    labels = (values[:, 3] - values[:, 7] + rng.normal(size=1_200) * 0.5 > 0).astype(np.int8)
    return values, labels


@pytest.mark.parametrize("method", METHODS)
def test_every_method_finds_what_was_planted(method: Any) -> None:
    config = SelectionConfig(method=method, budget=2)
    ranking = rank(*planted(), config)
    columns = [FeatureColumn(str(k), "x") for k in range(12)]
    assert select(columns, ranking, config).tolist() == [3, 7]
    assert ranking.stability[[3, 7]].tolist() == [1, 1]
    assert ranking.scores[5] == 0, "a constant column is of no use"


def test_gates_see_two_columns_that_say_nothing_apart() -> None:
    values = np.random.default_rng(0).normal(size=(3_000, 12)).astype(np.float32)
    labels = (values[:, 2] * values[:, 9] > 0).astype(np.int8)
    columns = [FeatureColumn(str(k), "x") for k in range(12)]
    found = {}
    for method in ("gates", "f_score"):
        config = SelectionConfig(method=method, budget=2)
        found[method] = select(columns, rank(values, labels, config), config).tolist()
    assert found["gates"] == [2, 9]
    assert not {2, 9} & set(found["f_score"]), "the case is one that single columns cannot show"


def test_gates_close_on_noise() -> None:
    rng = np.random.default_rng(0)
    values, labels = rng.normal(size=(1_000, 100)), rng.integers(0, 2, 1_000)
    assert np.count_nonzero(gates(values, labels, seed=7)) < 50


def test_gates_are_continuous_where_open_and_ignore_units() -> None:
    values, labels = (part[:400] for part in planted())
    found = gates(values, labels, seed=7)
    assert found[5] == 0 and set(np.flatnonzero(found)) >= {3, 7} and len(set(found[found > 0])) == (found > 0).sum()
    # powers of two, so that scaling itself rounds nothing
    np.testing.assert_array_equal(gates(values * 2.0 ** np.arange(-6, 6), labels, seed=7), found)


def test_the_price_of_a_gate_falls_with_rows_and_rises_with_columns() -> None:
    assert price(1_000, 600) == pytest.approx(np.log(600) / 1_000)
    assert price(1_000, 1) == price(1_000, 2) == 1 / 1_000
    assert price(2_000, 600) == price(1_000, 600) / 2


def test_gates_are_the_same_bits_whatever_torch_is_set_to() -> None:
    values, labels = (part[:300] for part in planted())
    first = gates(values, labels, seed=7)
    threads, state = torch.get_num_threads(), torch.random.get_rng_state()
    try:
        torch.set_num_threads(2 if threads == 1 else 1)
        other = torch.get_num_threads()
        torch.manual_seed(12_345)
        drawn = torch.random.get_rng_state()
        np.testing.assert_array_equal(gates(values, labels, seed=7), first)
        assert torch.get_num_threads() == other and torch.equal(torch.random.get_rng_state(), drawn)
    finally:
        torch.set_num_threads(threads)
        torch.random.set_rng_state(state)
    assert not np.array_equal(gates(values, labels, seed=8), first)


def test_a_column_that_is_good_once_comes_after_one_that_is_good_always() -> None:
    scores, stability = np.array([0.5, 0.2, 0.3, 0.0]), np.array([1 / 3, 1, 1, 0])
    columns = [FeatureColumn(str(k), "x") for k in range(4)]
    chosen = select(columns, Ranking(scores, stability), SelectionConfig(method="f_score", budget=2))
    assert chosen.tolist() == [1, 2]
    chosen = select(columns, Ranking(scores, stability), SelectionConfig(method="f_score", budget=9))
    assert chosen.tolist() == [0, 1, 2], "a score of zero is never kept"


def test_families_are_kept_whole_and_within_the_budget() -> None:
    families = ["a"] * 3 + ["b"] * 2 + ["c"] * 4
    columns = [FeatureColumn(str(k), f) for k, f in enumerate(families)]
    ranking = Ranking(np.array([0.1, 0.1, 0.1, 0.2, 0.1, 0.09, 0.1, 0.1, 0.11]), np.ones(9))
    config = SelectionConfig(method="f_score", by="family", budget=6)
    assert select(columns, ranking, config).tolist() == [0, 1, 2, 3, 4]


def test_a_single_class_says_nothing() -> None:
    ranking = rank(planted()[0], np.ones(1_200, np.int8), SelectionConfig(method="f_score"))
    assert not ranking.scores.any()


def test_the_budget_holds_from_the_configuration_to_the_saved_spec(tmp_path: Path) -> None:
    world = World.random()
    selection = SelectionConfig(method="f_score", budget=9)
    spec = replace(world, settings=world.settings.model_copy(update={"selection": selection})).prepare().spec
    spec.save(str(tmp_path))
    loaded = FeatureSpec.load(str(tmp_path))
    for one in (spec, loaded):
        kept = one.columns_of("text")
        assert 0 < len(kept.user) + len(kept.item) + len(kept.pair) <= 9
        without = one.columns_of("no_text")
        assert not [one.pair_columns[k] for k in without.pair if one.pair_columns[k].family.startswith("text")]
    assert loaded.ranking == spec.ranking
    assert loaded.columns_of("text").pair.tolist() == spec.columns_of("text").pair.tolist()
