"""The answer-swap check over Ray: history made again by tasks of the cluster, from several files."""

from dataclasses import replace
from pathlib import Path

import pytest
from factories.features import World

from llmrec.config import RunConfig, SplitConfig
from llmrec.features.asof.interactions import AsOf
from llmrec.features.build import driver, stage
from llmrec.features.build.answer_swap import answer_swaps
from llmrec.features.build.plan import BuildInputs
from llmrec.features.dataset.rows import load_features
from llmrec.storage import Storage


def test_over_ray_nothing_knows_its_answer_and_a_plant_is_caught(
    ray_cluster: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(driver, "SMALL", 0)  # small corpora go to the cluster too
    world, storage = World.random(), Storage(str(tmp_path))
    corpus = {"source": "table", "reviews": ["r"], "items": ["i"], "item_vectors": {"image": "image"}}
    config = RunConfig(corpus=corpus, features=world.settings, split=SplitConfig())
    stored = world.stored(storage, 3)
    loaded = load_features(stage.featurize(config, storage, *stored, "test"))
    inputs = BuildInputs(storage, *stored, world.settings, config.split, "test", "", str(tmp_path / "honest"))
    assert list(answer_swaps(inputs, *loaded, 1)) == []
    honest = AsOf.histories
    monkeypatch.setattr(AsOf, "histories", lambda self, users, times: honest(self, users, times + 1))
    found = list(answer_swaps(replace(inputs, scratch=str(tmp_path / "leaky")), *loaded, 1))
    assert {leak.column for leak in found} == {"request history"}
