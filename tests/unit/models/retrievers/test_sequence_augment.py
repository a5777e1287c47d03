"""Augmented sequences: nothing later is ever shown, what is asked for stays what it was, and off is off."""

from dataclasses import fields
from typing import Any

import numpy as np
import pytest
import torch
from factories.features import World
from factories.training import folds

from llmrec.features.dataset.rows import Shard
from llmrec.models.base import ModelContext
from llmrec.models.networks.epochs import fit_here
from llmrec.models.retrievers.sequential.augment import augmented
from llmrec.models.retrievers.sequential.net import AugmentConfig
from llmrec.models.retrievers.sequential.sasrec import SasrecConfig, SasrecRetriever
from llmrec.models.retrievers.sequential.sequences import SequenceReader, Sequences
from llmrec.models.retrievers.sequential.windows import SequenceWindows, Targets
from llmrec.storage import Artifact
from llmrec.training.fit import load_context
from llmrec.workers.process_group import ProcessGroup


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    return folds(tmp_path_factory.mktemp("augment"), World.random(n_reviews=330)).validation


@pytest.fixture(scope="module")
def context(examples: Artifact) -> ModelContext:
    return load_context(examples, "text")


@pytest.fixture(scope="module")
def batch(context: ModelContext) -> tuple[Sequences, Targets]:
    windows = SequenceWindows(context, SequenceReader(context), Shard())
    return windows.sequences(slice(0, len(windows))), windows.targets


def draw(batch: tuple[Sequences, Targets], seed: int, **shares: float) -> tuple[Sequences, Targets]:
    return augmented(*batch, AugmentConfig(**shares), np.random.default_rng(seed))


def keys(targets: Targets) -> set[tuple[int, int, int, int]]:
    columns = (targets.window, targets.place, targets.items, targets.times)
    return set(zip(*(c.tolist() for c in columns), strict=True))


@pytest.mark.parametrize("shares", [{"crop": 0.9}, {"mask": 0.5}, {"reorder": 0.9},
                                    {"crop": 0.5, "mask": 0.2, "reorder": 0.5}])  # fmt: skip
def test_a_target_is_told_by_earlier_events_alone(batch: tuple[Sequences, Targets], shares: dict[str, float]) -> None:
    before, asked = batch
    changed = 0
    for seed in range(5):
        shown, targets = draw(batch, seed, **shares)
        assert keys(targets) <= keys(asked) and len(targets) > len(asked) / 10
        for window, place in zip(targets.window, targets.place, strict=True):
            visible = shown.items[window, : place + 1][shown.real[window, : place + 1]].tolist()
            past = before.items[window, : place + 1][before.real[window, : place + 1]].tolist()
            assert visible and all(visible.count(item) <= past.count(item) for item in visible)
        changed += any(not np.array_equal(getattr(shown, f.name), getattr(before, f.name)) for f in fields(shown))
    assert changed == 5


def test_cropped_is_the_end_masked_has_holes_and_reordered_the_same_events(batch: tuple[Sequences, Targets]) -> None:
    before, _ = batch
    cropped, _ = draw(batch, 1, crop=0.9)
    assert cropped.real.sum() < before.real.sum() and (cropped.real <= before.real).all()
    assert (np.diff(cropped.real.astype(int), axis=1) >= 0).all() and cropped.real[:, -1].all()
    masked, _ = draw(batch, 1, mask=0.3)
    hidden = before.real & (masked.idx == 0) & (before.idx > 0)
    assert 0.2 < hidden.sum() / (before.real & (before.idx > 0)).sum() < 0.4
    assert not masked.texts[hidden].any() and not masked.reviews[hidden].any()
    assert np.array_equal(masked.items, before.items)  # what was had is still no candidate
    moved, _ = draw(batch, 1, reorder=0.9)
    assert np.array_equal(np.sort(moved.items, axis=1), np.sort(before.items, axis=1))
    assert (moved.items != before.items).any() and np.array_equal(moved.times, before.times)
    assert not moved.items[~before.real].any()
    stays = (moved.items == before.items).mean(axis=1)
    assert (stays >= 0.4).all()  # at most half of the events change places


def test_what_an_item_says_moves_with_it(batch: tuple[Sequences, Targets]) -> None:
    before, _ = batch
    moved, _ = draw(batch, 3, reorder=0.9)
    said = {(w, i, tuple(t)) for w in range(len(before))
            for i, t in zip(before.items[w], before.texts[w].tolist(), strict=True)}  # fmt: skip
    assert said == {(w, i, tuple(t)) for w in range(len(moved))
                    for i, t in zip(moved.items[w], moved.texts[w].tolist(), strict=True)}  # fmt: skip


def test_off_it_changes_no_bit_and_on_it_still_learns(examples: Artifact, context: ModelContext) -> None:
    def losses(**settings: Any) -> list[float]:
        torch.manual_seed(1)
        config = SasrecConfig(dim=16, batch_size=16, sampled_negatives=16, epochs=4, **settings)
        model = SasrecRetriever(config, context)
        task, found = model.fit_task(examples, ProcessGroup(), False), list[float]()
        epoch = task.epoch
        task.epoch = lambda *given: (found.append(epoch(*given)), found[-1])[1]  # type: ignore[method-assign]
        fit_here(task, config, 1, False)
        return found

    plain = losses()
    assert losses(augment={"crop": 0, "mask": 0, "reorder": 0}) == plain
    other = losses(augment={"crop": 0.3, "mask": 0.1, "reorder": 0.3})
    assert other != plain and other[-1] < other[0]


def test_a_share_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="less than 1"):
        SasrecConfig(augment={"mask": 1.5})
