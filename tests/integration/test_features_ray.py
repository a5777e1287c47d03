"""The stage over Ray: examples of the in-memory path, the same bits on any cluster, profiles, and clear failures."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from factories.features import IMAGE, World

from llmrec.config import FeaturesConfig, RunConfig, SplitConfig
from llmrec.features.asof.entity_log import SEQUENCES, VECTORS
from llmrec.features.asof.history import History
from llmrec.features.asof.profiles import COUNT, EVENT, MEAN_STARS, PROFILE, vectors_of
from llmrec.features.asof.state import TEXT_VARIANTS
from llmrec.features.build import driver as waves
from llmrec.features.build import plan as layout
from llmrec.features.build import stage
from llmrec.features.dataset.examples import example_table
from llmrec.features.dataset.folds import Fold, Prepared, prepare
from llmrec.features.transforms.reduction import to_arrays
from llmrec.schema import DAY_MS
from llmrec.schema import Column as C
from llmrec.storage import Artifact, Storage

SPLIT = SplitConfig(validation_quantile=0.6, test_quantile=0.8)


@pytest.fixture(autouse=True)
def over_ray(ray_cluster: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Small corpora go to the cluster too."""
    monkeypatch.setattr(waves, "SMALL", 0)


def run(world: World, storage: Storage, fold: Fold = "test", **features: Any) -> Artifact:
    settings = world.settings.model_copy(update=features)
    return stage.featurize(RunConfig(features=settings, split=SPLIT), storage, *world.stored(storage, 3), fold)


def in_memory(world: World, made: Artifact, fold: Fold, settings: FeaturesConfig | None = None) -> Prepared:
    """The same fold by the plain path."""
    settings, info = settings or FeaturesConfig(**made.manifest.config["features"]), made.manifest.info
    reviews, items, *vectors = world.tables()
    given = vectors if settings.text else []
    return prepare(settings, reviews, items, *given, t1=info["t1"], t2=info["t2"], fold=fold)


def examples(prepared: Prepared) -> pa.Table:
    """All rows, splits by name as the artifact's files are."""
    groups = sorted(prepared.clicks, key=lambda group: group.split)
    return pa.concat_tables([example_table(prepared.history, prepared.spec, group) for group in groups])


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
def test_the_stage_makes_what_the_plain_path_makes(name: str, tmp_path: Path) -> None:
    world, fold, features = CASES[name]
    made = run(world, Storage(str(tmp_path)), fold, **features)
    expected = in_memory(world, made, fold)
    assert made.table("examples").equals(examples(expected))
    assert set(made.manifest.info["families"]) == set(expected.spec.families)
    np.testing.assert_array_equal(history_of(made).by_event(VECTORS), expected.history.by_event(VECTORS))


def test_pieces_make_the_same_bits_on_any_cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Many pieces over four CPUs, and one after the other in this process; and close to all at once in memory."""
    settings = EVERYTHING.settings
    found = []
    for name, small in (("ray", 0), ("here", 10**6)):
        monkeypatch.setattr(waves, "SMALL", small)
        storage = Storage(str(tmp_path / name))
        corpus, embeddings = EVERYTHING.stored(storage, parts=3)
        with storage.build("examples", "x", module="llmrec.features", config={}, parents={}) as writer:
            folders = writer.uri("history"), f"{writer.root}/scratch"
            inputs = layout.Inputs(storage, corpus, embeddings, settings, SPLIT, "test", *folders, piece_rows=30,
                                   range_rows=50)  # fmt: skip
            plan = layout.plan_build(inputs)
            assert min(len(plan.of("text", "review")), len(plan.of("sequence")), *map(len, plan.ranges.values())) >= 4
            waves.build(inputs, writer)
        made = storage.find("examples", "x")
        assert made
        found.append({r.path.split("/", 1)[1]: Path(made.root, r.path).read_bytes() for r in made.manifest.files})
        assert sorted(p.name for p in Path(made.root).iterdir()) == sorted([writer.attempt, "manifest.json"])
    assert found[0] == found[1]
    history, expected = history_of(made), in_memory(EVERYTHING, made, "test", settings).history
    np.testing.assert_allclose(history.by_event(VECTORS), expected.by_event(VECTORS), atol=1e-5)
    np.testing.assert_allclose(history.by_event(SEQUENCES), expected.by_event(SEQUENCES), atol=1e-5)


def test_held_out_reviews_change_nothing_learned(tmp_path: Path) -> None:
    """The canary over Ray: other words, stars, time and ids of a test review move no bit of what is fitted or of a
    training row; those of a training review do (the positive control)."""

    def learned(name: str, world: World) -> list[Any]:
        made = run(world, Storage(str(tmp_path / name)))
        train = pq.read_table(made.uri("examples/train-00000.parquet"))
        arrays = to_arrays(history_of(made).data.reductions)
        return [{k: v.tobytes() for k, v in arrays.items()}, train]

    reviews = sorted(EVERYTHING.reviews, key=lambda r: r[C.TIMESTAMP])
    pairs = {(r[C.USER_ID], r[C.ITEM_ID]) for r in reviews}

    def changes(review: dict[str, Any]) -> dict[str, dict[str, Any]]:
        user, item = next((u, i) for u, _ in sorted(pairs) for _, i in sorted(pairs)
                          if (u, i) not in pairs and u != review[C.USER_ID] and i != review[C.ITEM_ID])  # fmt: skip
        return {
            "words": {C.TEXT: "canaryzq " + review[C.TEXT]},
            "stars": {C.STARS: 6 - review[C.STARS] or 1.0},
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


def test_profiles_are_the_states_of_the_history(tmp_path: Path) -> None:
    made = run(EVERYTHING, Storage(str(tmp_path)), write_profiles=True)
    history = history_of(made)
    data = history.data
    states = {C.USER_ID: history.users_at(data.user_rows, data.times),
              C.ITEM_ID: history.items_at(data.item_rows, data.times)}  # fmt: skip
    for side, state in states.items():
        assert made.manifest.counts[f"profiles_{side}"] == len(data.times)
        rows = made.table(f"profiles/{side}").sort_by(EVENT)
        assert rows[EVENT].to_pylist() == list(range(len(data.times)))
        assert rows[COUNT].to_pylist() == state.count.tolist()
        mean_stars = state.stars[:, 1] / np.maximum(state.stars[:, 0], 1)
        np.testing.assert_allclose(rows[MEAN_STARS].to_numpy(), mean_stars, rtol=1e-6)
        profile = state.text[:, TEXT_VARIANTS.index("mean")]
        np.testing.assert_allclose(vectors_of(rows[PROFILE]), profile, rtol=0, atol=1e-6)
        asked = made.table("examples")
        mine = dict(zip(rows[EVENT].to_pylist(), rows[COUNT].to_pylist(), strict=True))
        rows_of = history.user_rows if side == C.USER_ID else history.item_rows
        clicks = asked.filter(pc.equal(asked[C.CLICK], 1))
        at = rows_of(clicks[side].to_pylist()), clicks[C.TIMESTAMP].to_numpy()
        count = (history.users_at if side == C.USER_ID else history.items_at)(*at).count
        assert [mine[q] for q in clicks[C.QUERY_ID].to_pylist()] == count.tolist()


def test_an_error_is_raised_as_it_was_and_leaves_no_scratch(tmp_path: Path) -> None:
    uneven = [i | {IMAGE: [1.0] * (4 + k % 2)} for k, i in enumerate(EVERYTHING.items)]
    with pytest.raises(
        ValueError, match=r"^items: vector_image: found vectors of lengths \[4, 5\], expected one length$"
    ):
        run(replace(EVERYTHING, items=uneven), Storage(str(tmp_path)))
    assert not list(tmp_path.glob("examples/*/*"))
