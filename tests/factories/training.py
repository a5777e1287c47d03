"""Artifacts of small worlds for the tests of training, bundle and recommender."""

import pickle
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from factories.features import START, World

from llmrec.config import FeaturesConfig, RunConfig, TrainingConfig
from llmrec.features.dataset.examples import example_table
from llmrec.features.dataset.folds import Fold
from llmrec.features.dataset.rows import Examples, read_examples
from llmrec.files import write_parquet
from llmrec.models.base import ModelContext
from llmrec.schema import DAY_MS
from llmrec.schema import Column as C
from llmrec.storage import Artifact, Storage

TOWERS: dict[str, Any] = {"dim": 8, "hidden": (16,), "epochs": 4, "batch_size": 32, "sampled_negatives": 64}


def tiny_config(**training: Any) -> RunConfig:
    """Small models that fit a small world in a second, in this process unless `workers` says otherwise."""
    settings: dict[str, Any] = {
        "retrievers": {"two_tower": TOWERS},
        "ranker": {"name": "dcnv2", "embedding_dim": 4, "hidden": (16,), "epochs": 4, "batch_size": 64},
        "workers": 0,
    }
    features = FeaturesConfig(text_dim=6, history_length=5, popularity_days=(7.0, 30.0))
    return RunConfig(features=features, training=TrainingConfig(**settings | training))


def examples(storage: Storage, world: World, fold: Fold) -> Artifact:
    """The artifact `examples` of a world's fold, as the stage `featurize` lays it out."""
    prepared = world.prepare(fold)
    if storage.find("corpus", "c") is None:
        world.stored_corpus(storage)
    with storage.build("examples", fold, module="llmrec.features", config={}, parents={"corpus": "c"}) as writer:
        writer.info |= {"t1": START + 50 * DAY_MS, "t2": START + 70 * DAY_MS}  # as `World.prepare` cuts
        prepared.history.save(writer.uri("history"))
        prepared.spec.save(writer.uri("spec"))
        for clicks in prepared.clicks:
            for number, chunk in enumerate(clicks.chunks(50)):
                table = example_table(prepared.history, prepared.spec, chunk)
                write_parquet(writer.uri(f"examples/{clicks.split}-{number:05d}.parquet"), table)
    found = storage.find("examples", fold)
    assert found is not None
    return found


@dataclass(frozen=True)
class Folds:
    """Both folds of a world, under one storage."""

    storage: Storage
    validation: Artifact
    test: Artifact


def rows_of(made: Folds, context: ModelContext, split: str = "train") -> Examples:
    """A split of the fold `validation`, as a ranker reads it."""
    return read_examples(made.validation, split, context.selection, context.history_length, with_ids=False)


_MADE: dict[bytes, Path] = {}
_FOLDERS = tempfile.TemporaryDirectory(prefix="folds-")


def folds(root: Path, world: World) -> Folds:
    """A copy of its own for each caller; a world that a process asks for again is not made again."""
    made = _MADE.get(key := pickle.dumps(world))
    if made is None:
        made = _MADE[key] = Path(tempfile.mkdtemp(dir=_FOLDERS.name))
        for fold in ("validation", "test"):
            examples(Storage(str(made)), world, fold)
    shutil.copytree(made, root, dirs_exist_ok=True)
    storage = Storage(str(root))
    validation, test = (storage.find("examples", fold) for fold in ("validation", "test"))
    assert validation is not None and test is not None
    return Folds(storage, validation, test)


def checkerboard(n: int = 40, seed: int = 0) -> World:
    """Users and items of two colours; a user takes items of their own colour, each user missing one: the diagonal.

    (After implicit's tests.) No words, no stars, no attributes: ids and histories alone tell the colours apart. The
    withheld item of a user, and of no other colour, is what a model that learned anything ranks next.
    """
    rng = np.random.default_rng(seed)
    rows = [(u, i) for u in range(n) for i in range(n) if (u + i) % 2 == 0 and u != i]
    days = rng.permutation(len(rows)) * 90 // len(rows)
    reviews = [
        {
            C.REVIEW_ID: f"r{u}-{i}", C.USER_ID: f"u{u:03d}", C.ITEM_ID: f"i{i:03d}",
            C.TIMESTAMP: START + int(day) * DAY_MS, C.STARS: None, C.TITLE: None, C.TEXT: "",
        }
        for (u, i), day in zip(rows, days, strict=True)
    ]  # fmt: skip
    empty = dict.fromkeys((C.DESCRIPTION, C.BRAND, C.PRICE, C.CATEGORIES))
    items = [{C.ITEM_ID: f"i{k:03d}", C.TITLE: "", C.AVAILABLE_FROM: START - DAY_MS, **empty} for k in range(n)]
    settings = FeaturesConfig(text=False, history_length=5, popularity_days=(30.0,), collaborative=())
    return World(reviews, items, settings)
