"""The stage `featurize`: what its artifact holds, its row sum, reuse, and the same features from what it saved."""

import pickle
from dataclasses import fields
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pytest
from factories.features import World

from llmrec.config import RunConfig, SplitConfig
from llmrec.corpus.splits import cutoffs
from llmrec.features.arrays import Rows
from llmrec.features.asof.events import BLOCK
from llmrec.features.asof.history import History
from llmrec.features.build import driver, stage
from llmrec.features.build import plan as planning
from llmrec.features.dataset.examples import Clicks
from llmrec.features.dataset.fitting import fit
from llmrec.features.dataset.folds import Fold
from llmrec.features.dataset.spec import FeatureSpec
from llmrec.schema import DAY_MS, examples_schema
from llmrec.schema import Column as C
from llmrec.storage import Artifact, Storage

SPLIT = SplitConfig(validation_quantile=0.6, test_quantile=0.8)


def history_of(made: Artifact) -> History:
    return History.load(made.uri("history/history.json").rsplit("/", 1)[0])


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
    history = history_of(made)
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
        C.HISTORY_AGES: spec.history_ages(users),
    }
    for name, values in again.items():
        np.testing.assert_allclose(np.stack(table[name].to_numpy()), values, rtol=0, atol=2e-6, err_msg=name)
    assert table[C.USER_IDX].to_pylist() == spec.users_idx(users).tolist()
    seen = {column: np.array(table[column].to_pylist()) > 0 for column in (C.USER_IDX, C.ITEM_IDX)}
    train = np.array(table[C.SPLIT].to_pylist()) == "train"
    for column, states in ((C.USER_IDX, users), (C.ITEM_IDX, items)):  # a first event shows no id, as a newcomer's will
        assert (seen[column][train] == (states.count[train] > 0)).all() and not seen[column][train].all()


def test_likes_are_four_stars_and_null_for_negatives(parents: tuple[Storage, Artifact, Artifact, World]) -> None:
    storage, corpus, embeddings, world = parents
    made = stage.featurize(RunConfig(features=world.settings, split=SPLIT), storage, corpus, embeddings, "test")
    stars = {(r[C.USER_ID], r[C.ITEM_ID]): r[C.STARS] for r in world.reviews}
    for row in made.table("examples").to_pylist():
        if row[C.CLICK]:
            assert row[C.LIKE] == int(stars[row[C.USER_ID], row[C.ITEM_ID]] >= 4)
        else:
            assert row[C.LIKE] is row[C.STARS] is row[C.REVIEW_ID] is None


@pytest.mark.parametrize("late", [0, 1])
@pytest.mark.parametrize("fold", ["validation", "test"])
def test_an_encoder_tuned_past_the_cut_off_is_refused(
    parents: tuple[Storage, Artifact, Artifact, World], fold: Fold, late: int
) -> None:
    storage, corpus, embeddings, world = parents
    cut = cutoffs(np.array([r[C.TIMESTAMP] for r in world.reviews]), SPLIT)
    limit = int(cut.t1 if fold == "validation" else cut.t2)  # a text at that very moment is one too many
    embeddings.manifest.info["learned_before"] = limit + late
    config = RunConfig(features=world.settings, split=SPLIT)
    if late:
        with pytest.raises(ValueError, match=f"was tuned on reviews before.*expected none from.*fold '{fold}'"):
            stage.featurize(config, storage, corpus, embeddings, fold)
        assert not list(Path(storage.root).glob("examples/*/*"))
        without = config.model_copy(update={"features": world.settings.model_copy(update={"text": False})})
        stage.featurize(without, storage, corpus, embeddings, fold)  # what it made is not used
    else:
        stage.featurize(config, storage, corpus, embeddings, fold)


def test_a_run_without_text_needs_no_vectors(parents: tuple[Storage, Artifact, Artifact, World]) -> None:
    storage, corpus, _, world = parents
    settings = world.settings.model_copy(update={"text": False})
    made = stage.featurize(RunConfig(features=settings, split=SPLIT), storage, corpus, None, "test")
    assert not [f for f in made.manifest.info["families"] if f.startswith("text")]


def test_a_fold_with_nothing_to_train_on_is_refused() -> None:
    history = World.random().prepare().history
    nothing = Clicks(np.zeros(0, np.int64), Rows.of(np.zeros((0, 4), np.int64)), "train")
    with pytest.raises(ValueError, match="no event lies before the cut-off 5 ms of fold 'validation'"):
        fit(history, nothing, "validation", 5)


def ranged_build(folder: Path, range_rows: int) -> tuple[Artifact, planning.BuildPlan]:
    """Two items of 250 reviews each."""
    world, storage = World.random(300, 2, 500), Storage(str(folder))
    with storage.build("examples", "x", module="llmrec.features.build.stage", config={}, parents={}) as writer:
        folders = writer.uri("history"), f"{writer.root}/scratch"
        inputs = planning.BuildInputs(storage, *world.stored(storage, 3), world.settings, SPLIT, "test", *folders,
                                      shard_rows=100, range_rows=range_rows)  # fmt: skip
        plan = planning.plan_build(inputs)
        driver.build(inputs, writer)
    made = storage.find("examples", "x")
    assert made
    return made, plan


@pytest.fixture(scope="module")
def ranged(tmp_path_factory: pytest.TempPathFactory) -> tuple[Artifact, planning.BuildPlan]:
    """In ranges of some 64 events."""
    return ranged_build(tmp_path_factory.mktemp("ranged"), 64)


def test_a_heavy_entity_is_carried_from_range_to_range(
    ranged: tuple[Artifact, planning.BuildPlan], tmp_path: Path
) -> None:
    """To the last bit what one process sums, wherever the ranges cut."""
    made, plan = ranged
    chains = plan.ranges["items"].chains()
    assert max(map(len, chains)) >= 4, "no item reaches over several ranges"
    history = history_of(made)
    assert len(history.items.sums["text"].stored.parts) == len(plan.ranges["items"]) > 6
    whole = history_of(ranged_build(tmp_path, 10**6)[0])
    data = history.data
    times = np.concatenate([data.times, data.times + 1, data.times + 40 * DAY_MS])
    for log, rows in (("users_at", data.user_rows), ("items_at", data.item_rows)):
        found, expected = (getattr(h, log)(np.tile(rows, 3), times) for h in (history, whole))
        for f in fields(found):
            np.testing.assert_array_equal(getattr(found, f.name), getattr(expected, f.name), err_msg=f.name)


def test_ranges_cut_no_block_and_leave_nothing_out(ranged: tuple[Artifact, planning.BuildPlan]) -> None:
    made, plan = ranged
    events = history_of(made).items.events
    bounds = plan.ranges["items"].bounds
    assert bounds[0] == 0 and bounds[-1] == len(events) == 500
    assert (np.diff(bounds) > 0).all()
    assert not ((bounds[1:-1] - events.offsets[events.owners(bounds[1:-1])]) % BLOCK).any()


def test_what_is_mapped_travels_as_its_address_and_is_copied_whole(
    ranged: tuple[Artifact, planning.BuildPlan], tmp_path: Path
) -> None:
    history = history_of(ranged[0])
    assert len(pickle.dumps(history)) < 1_000
    history.save(str(tmp_path / "copy"))
    data = history.data
    times = data.times + DAY_MS
    for other in (pickle.loads(pickle.dumps(history)), History.load(str(tmp_path / "copy"))):
        found, expected = other.items_at(data.item_rows, times), history.items_at(data.item_rows, times)
        np.testing.assert_array_equal(found.text, expected.text)


def test_embeddings_of_another_corpus_are_refused(tmp_path: Path) -> None:
    world, storage = World.random(), Storage(str(tmp_path))
    corpus, embeddings = world.stored(storage)
    with storage.build("corpus", "other", module="llmrec.corpus.stage", config={}, parents={}) as writer:
        writer.write_table("reviews", corpus.table("reviews").slice(1))
        writer.write_table("items", corpus.table("items"))
    other = storage.find("corpus", "other")
    assert other
    config = RunConfig(features=world.settings, split=SPLIT)
    with pytest.raises(ValueError, match="ids of its review texts are not those of the corpus, row by row"):
        stage.featurize(config, storage, other, embeddings, "test")
