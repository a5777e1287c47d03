"""The stage over Ray: the same bits on any cluster, in any shards and ranges about the same, and clear failures."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from factories.features import IMAGE, World, by_event

from llmrec.config import RunConfig, SplitConfig
from llmrec.features.asof.history import History
from llmrec.features.asof.logs.entity_log import SEQUENCES, VECTORS
from llmrec.features.build import driver, stage
from llmrec.features.build import plan as planning
from llmrec.features.dataset.folds import Fold
from llmrec.features.transforms.reduction import to_arrays
from llmrec.schema import DAY_MS
from llmrec.schema import Column as C
from llmrec.storage import Artifact, Storage

SPLIT = SplitConfig(validation_quantile=0.6, test_quantile=0.8)


@pytest.fixture(autouse=True)
def over_ray(ray_cluster: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Small corpora go to the cluster too."""
    monkeypatch.setattr(driver, "SMALL", 0)


def run(world: World, storage: Storage, fold: Fold = "test", **features: Any) -> Artifact:
    settings = world.settings.model_copy(update=features)
    corpus = {"source": "table", "reviews": ["r"], "items": ["i"], "item_vectors": {"image": "image"}}
    config = RunConfig(corpus=corpus, features=settings, split=SPLIT)
    return stage.featurize(config, storage, *world.stored(storage, 3), fold)


def history_of(made: Artifact) -> History:
    return History.load(made.uri("history/history.json").rsplit("/", 1)[0])


EVERYTHING = World.random()
BARE = replace(EVERYTHING, items=[i | {IMAGE: None} for i in EVERYTHING.items])
SILENT = replace(EVERYTHING, reviews=[r | {C.TEXT: ""} for r in EVERYTHING.reviews], items=[])
CASES: dict[str, tuple[World, Fold, dict[str, Any]]] = {
    "everything": (EVERYTHING, "test", {}),
    "autoencoder": (EVERYTHING, "test", {"text_reduction": "autoencoder", "include": ("text_*", "vector_*")}),
    "no text": (EVERYTHING, "test", {"text": False}),
    "no items": (replace(EVERYTHING, items=[]), "test", {}),
    "no vectors with the items": (BARE, "validation", {"text_reduction": "random"}),
    "no words": (SILENT, "test", {"include": ("user_*", "text_*")}),
}


@pytest.mark.parametrize("name", CASES)
def test_the_cluster_makes_what_one_process_makes(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world, fold, features = CASES[name]
    made = run(world, Storage(str(tmp_path / "ray")), fold, **features)
    monkeypatch.setattr(driver, "SMALL", 10**6)
    expected = run(world, Storage(str(tmp_path / "here")), fold, **features)
    assert made.table("examples").equals(expected.table("examples"))
    assert made.manifest.info == expected.manifest.info
    np.testing.assert_array_equal(*(by_event(history_of(m), VECTORS) for m in (made, expected)))


def test_pieces_make_the_same_bits_on_any_cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Many shards over four CPUs, and one after the other in this process; and close to what all at once gives."""
    settings = EVERYTHING.settings
    found = []
    for name, small in (("ray", 0), ("here", 10**6)):
        monkeypatch.setattr(driver, "SMALL", small)
        storage = Storage(str(tmp_path / name))
        corpus, embeddings = EVERYTHING.stored(storage, parts=3)
        with storage.build("examples", "x", module="llmrec.features", config={}, parents={}) as writer:
            folders = writer.uri("history"), f"{writer.root}/scratch"
            inputs = planning.BuildInputs(storage, corpus, embeddings, settings, SPLIT, "test", *folders, shard_rows=30,
                                   range_rows=50)  # fmt: skip
            plan = planning.plan_build(inputs)
            assert min(len(plan.of("text", "review")), len(plan.of("sequence")), *map(len, plan.ranges.values())) >= 4
            driver.build(inputs, writer)
        made = storage.find("examples", "x")
        assert made
        found.append({r.path.split("/", 1)[1]: Path(made.root, r.path).read_bytes() for r in made.manifest.files})
        assert sorted(p.name for p in Path(made.root).iterdir()) == sorted([writer.attempt, "manifest.json"])
    assert found[0] == found[1]
    history, whole = history_of(made), history_of(run(EVERYTHING, Storage(str(tmp_path / "whole"))))
    for name in (VECTORS, SEQUENCES):
        np.testing.assert_allclose(by_event(history, name), by_event(whole, name), atol=1e-5)


def test_held_out_reviews_change_nothing_learned(tmp_path: Path) -> None:
    """The canary over Ray: other words, stars, time and ids of a test review move no bit of what is fitted or of a
    training row; those of a training review do (the positive control)."""

    def learned(name: str, world: World) -> list[Any]:
        made = run(world, Storage(str(tmp_path / name)))
        train = pq.read_table(made.uri("examples/train-00000.parquet"))
        arrays = to_arrays(history_of(made).reductions)
        return [{k: v.tobytes() for k, v in arrays.items()}, train]

    reviews = sorted(EVERYTHING.reviews, key=lambda r: r[C.TIMESTAMP])
    pairs = {(r[C.USER_ID], r[C.ITEM_ID]) for r in reviews}

    def changes(review: dict[str, Any]) -> dict[str, dict[str, Any]]:
        user, item = next((u, i) for u, _ in sorted(pairs) for _, i in sorted(pairs)
                          if (u, i) not in pairs and u != review[C.USER_ID] and i != review[C.ITEM_ID])  # fmt: skip
        return {
            "words": {C.TEXT: "canaryzq " + review[C.TEXT]},
            "stars": {C.STARS: review[C.STARS] % 5 + 1},
            "time": {C.TIMESTAMP: review[C.TIMESTAMP] + DAY_MS},
            "ids": {C.USER_ID: user, C.ITEM_ID: item},
        }

    base = learned("base", EVERYTHING)
    spoilt = {k: v for values in changes(reviews[-1]).values() for k, v in values.items()}
    assert learned("held out", EVERYTHING.changed(reviews[-1][C.REVIEW_ID], **spoilt)) == base
    for kind, values in changes(reviews[20]).items():
        fitted, train = learned(kind, EVERYTHING.changed(reviews[20][C.REVIEW_ID], **values))
        assert train != base[1], kind
        assert fitted != base[0] or kind != "words"


def test_an_error_is_raised_as_it_was_and_leaves_no_scratch(tmp_path: Path) -> None:
    uneven = [i | {IMAGE: [1.0] * (4 + k % 2)} for k, i in enumerate(EVERYTHING.items)]
    with pytest.raises(
        ValueError, match=r"^items: vector_image: found vectors of lengths \[4, 5\], expected one length$"
    ):
        run(replace(EVERYTHING, items=uneven), Storage(str(tmp_path)))
    assert not list(tmp_path.glob("examples/*/*"))
