"""The stage `featurize`: what its artifact holds, its row sum, reuse, and the same features from what it saved."""

import pickle
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pytest
from factories.features import START, World

from llmrec.config import FeaturesConfig, RunConfig, SplitConfig
from llmrec.features import stage
from llmrec.features.examples import example_table
from llmrec.features.history import History
from llmrec.features.prepare import prepare
from llmrec.features.spec import FeatureSpec
from llmrec.schema import Column as C
from llmrec.schema import examples_schema
from llmrec.storage import Artifact, Storage

SPLIT = SplitConfig(validation_quantile=0.6, test_quantile=0.8)


@pytest.fixture
def parents(tmp_path: Path) -> tuple[Storage, Artifact, Artifact, World]:
    """A corpus in storage, and its vectors in the embedding store."""
    world, storage = World.random(), Storage(str(tmp_path))
    return storage, *world.stored(storage), world


def test_both_folds_hold_their_splits_and_their_row_sum(
    parents: tuple[Storage, Artifact, Artifact, World],
) -> None:
    storage, corpus, embeddings, world = parents
    config = RunConfig(features=world.settings, split=SPLIT)
    times = sorted(r[C.TIMESTAMP] for r in world.reviews)
    t1, t2 = np.quantile(times, 0.6), np.quantile(times, 0.8)
    expected = {
        "validation": {"train": sum(t < t1 for t in times), "validation": sum(t1 <= t < t2 for t in times)},
        "test": {"train": sum(t < t2 for t in times), "test": sum(t >= t2 for t in times)},
    }
    for fold in ("validation", "test"):
        made = stage.featurize(config, storage, corpus, embeddings, fold)
        assert not made.reused
        table, counts = made.table("examples"), made.manifest.counts
        clicks = table.filter(pc.equal(table[C.CLICK], 1))
        found = {v["values"]: v["counts"] for v in clicks[C.SPLIT].value_counts().to_pylist()}
        assert found == expected[fold]
        assert counts["rows_in"] == counts["rows_out"] == sum(found.values())
        negatives = sum(counts[f"negatives_{s}"] for s in found)
        assert table.num_rows == clicks.num_rows + negatives
        missing = sum(counts[f"negatives_missing_{s}"] for s in found)
        assert negatives + missing == 4 * clicks.num_rows
        assert set(clicks[C.REVIEW_ID].to_pylist()) <= {r[C.REVIEW_ID] for r in world.reviews}
        assert stage.featurize(config, storage, corpus, embeddings, fold).reused


def test_what_was_saved_gives_the_same_features(parents: tuple[Storage, Artifact, Artifact, World]) -> None:
    storage, corpus, embeddings, world = parents
    made = stage.featurize(RunConfig(features=world.settings, split=SPLIT), storage, corpus, embeddings, "test")
    spec = FeatureSpec.load(made.uri("spec/spec.json").rsplit("/", 1)[0])
    history = History.load(made.uri("history/history.json").rsplit("/", 1)[0])
    assert {"text_user_sequence", "vector_image_item", "context_columns"} <= set(spec.families)
    table = made.table("examples")
    dims = (len(spec.user_columns), len(spec.item_columns), len(spec.pair_columns))
    assert table.schema.equals(examples_schema(*dims))
    rows = history.user_rows(table[C.USER_ID].to_pylist()), history.item_rows(table[C.ITEM_ID].to_pylist())
    times = table[C.TIMESTAMP].to_numpy()
    contexts = history.data.contexts[table[C.QUERY_ID].to_numpy()]
    users, items = history.users_at(rows[0], times, contexts), history.items_at(rows[1], times)
    again = {
        C.USER_FEATURES: spec.user_features(users),
        C.ITEM_FEATURES: spec.item_features(items),
        C.PAIR_FEATURES: spec.pair_features(users, items),
        C.HISTORY: spec.history_idx(users),
    }
    for name, values in again.items():
        np.testing.assert_allclose(np.stack(table[name].to_numpy()), values, rtol=0, atol=2e-6, err_msg=name)
    assert table[C.USER_IDX].to_pylist() == spec.user_idx(rows[0]).tolist()


def test_likes_are_four_stars_and_null_for_negatives(parents: tuple[Storage, Artifact, Artifact, World]) -> None:
    storage, corpus, embeddings, world = parents
    made = stage.featurize(RunConfig(features=world.settings, split=SPLIT), storage, corpus, embeddings, "test")
    stars = {(r[C.USER_ID], r[C.ITEM_ID]): r[C.STARS] for r in world.reviews}
    for row in made.table("examples").to_pylist():
        if row[C.CLICK]:
            assert row[C.LIKE] == int(stars[row[C.USER_ID], row[C.ITEM_ID]] >= 4)
        else:
            assert row[C.LIKE] is row[C.STARS] is row[C.REVIEW_ID] is None


def test_a_run_without_text_needs_no_vectors(parents: tuple[Storage, Artifact, Artifact, World]) -> None:
    storage, corpus, _, world = parents
    settings = world.settings.model_copy(update={"text": False})
    made = stage.featurize(RunConfig(features=settings, split=SPLIT), storage, corpus, None, "test")
    assert not [f for f in made.manifest.info["families"] if f.startswith("text")]


def test_a_fold_with_nothing_to_train_on_is_refused() -> None:
    world = World.random()
    reviews, items, *vectors = world.tables()
    with pytest.raises(ValueError, match="no event lies before the cut-off 5 ms of fold 'validation'"):
        prepare(world.settings, reviews, items, *vectors, t1=5, t2=START, fold="validation")


def test_a_fold_travels_without_its_arrays_being_copied() -> None:
    """As Ray hands it to the tasks that write examples: arrays in shared memory, read only."""
    prepared = World.random().prepare()
    buffers: list[pickle.PickleBuffer] = []
    data = pickle.dumps(prepared, protocol=5, buffer_callback=buffers.append)
    arrays = sum(b.raw().nbytes for b in buffers)
    assert arrays > 80_000 > 4 * len(data), "arrays are copied"
    sent = pickle.loads(data, buffers=[bytes(b.raw()) for b in buffers])
    for group, same in zip(prepared.clicks, sent.clicks, strict=True):
        expected = example_table(prepared.history, prepared.spec, group)
        assert example_table(sent.history, sent.spec, same).equals(expected)
    assert list(sent.history.user_ids) == list(prepared.history.user_ids)


def test_profiles_need_text() -> None:
    with pytest.raises(ValueError, match="write_profiles needs text"):
        FeaturesConfig(text=False, write_profiles=True)
