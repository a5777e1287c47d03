"""Selection finds planted columns, drops noise under a budget, and looks at training rows only."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from factories.features import World

from llmrec.config.features import SelectionConfig
from llmrec.features.columns import FeatureColumn
from llmrec.features.selection import Ranking, rank, select
from llmrec.features.spec import FeatureSpec

METHODS = ["f_score", "mutual_information", "gradient_boosting", "permutation"]


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
