"""Profiles enter features as of the moment before: the last version made then, and never one that knows the answer."""

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from factories.features import T1, World, encode

from llmrec.config import RunConfig, SplitConfig
from llmrec.config.text.reading import ProfilesConfig
from llmrec.encoding.store.embedding_store import EmbeddingStore
from llmrec.encoding.store.keys import text_keys
from llmrec.features.asof.history import History
from llmrec.features.build import stage
from llmrec.features.dataset.rows import load_features
from llmrec.features.dataset.spec import FeatureSpec
from llmrec.features.families import profiles
from llmrec.files import write_parquet
from llmrec.reading.profiles.extractive import Extractive
from llmrec.reading.profiles.versions import write_versions
from llmrec.reading.readers.lexicon import read_by_words
from llmrec.reading.reading import Readings
from llmrec.reading.stage import write_readings
from llmrec.reading.store import ReadingStore
from llmrec.schema import TEXT_KEYS
from llmrec.schema import Column as C
from llmrec.storage import Artifact, Storage

SAID = ("The battery is excellent.", "Noisy and terrible.", "It is quiet and sturdy.", "", "A black, heavy box.")


def talking(world: World) -> World:
    return replace(world, reviews=[row | {C.TEXT: SAID[at % len(SAID)]} for at, row in enumerate(world.reviews)])


def read_all(storage: Storage, corpus: Artifact) -> Artifact:
    """The artifact `readings` by word lists with extractive profiles, whose vectors are in the store, without Ray."""
    rows = corpus.table("reviews", [C.REVIEW_ID, C.TEXT]).to_pylist()
    texts, store = sorted({row[C.TEXT] for row in rows} - {""}), ReadingStore(storage.root, "words")
    values = Readings(tuple(read_by_words(text) for text in texts), np.ones(len(texts), np.int32))
    store.commit([str(key) for key in text_keys("words", texts)], values)
    with storage.build("readings", "r", module="llmrec.reading.stage", config={}, parents={}) as writer:
        keys = text_keys("words", [row[C.TEXT] for row in rows])
        columns = [["review"] * len(rows), [row[C.REVIEW_ID] for row in rows], keys]
        table = pa.table([pa.array(c, pa.string()) for c in columns], schema=TEXT_KEYS)
        write_parquet(writer.uri("text_keys/0.parquet"), table)
        write_readings(store, writer.uri("text_keys"), writer.uri("readings"), {}, lambda row: None)
        write_versions(corpus, writer.uri("readings"), Extractive(), ProfilesConfig(), 1, writer.uri("profiles"), 0)
        writer.info["fingerprint"] = "words"
    found = storage.find("readings", "r")
    assert found is not None
    said = sorted(set(found.table("profiles")[C.TEXT].to_pylist()) - {""})
    none = np.zeros(len(said), np.int32)
    EmbeddingStore(storage.root, "f").put([str(key) for key in text_keys("f", said)], encode(said), none, none)
    return found


def made_of(world: World, folder: Path) -> tuple[FeatureSpec, History, list[dict[str, object]]]:
    storage = Storage(str(folder))
    corpus, embeddings = world.stored(storage)
    split, readings = SplitConfig(validation_quantile=0.6, test_quantile=0.8), read_all(storage, corpus)
    config = RunConfig(features=world.settings, split=split)
    made = stage.featurize(config, storage, corpus, embeddings, "test", readings)
    return *load_features(made), readings.table("profiles").to_pylist()


@pytest.fixture(scope="module")
def world() -> World:
    return talking(World.random())


@pytest.fixture(scope="module")
def made(
    world: World, tmp_path_factory: pytest.TempPathFactory
) -> tuple[FeatureSpec, History, list[dict[str, object]]]:
    return made_of(world, tmp_path_factory.mktemp("profiled"))


@pytest.mark.parametrize("side", ["user", "item"])
def test_a_version_is_in_force_after_its_moment_and_until_the_next(made, side: str) -> None:
    spec, history, rows = made
    assert "text_read_profiles" in spec.families
    at, number = (history.users_at, history.user_rows) if side == "user" else (history.items_at, history.item_rows)
    mine = [row for row in rows if row["side"] == side]
    assert len({row["id"] for row in mine}) > 10 and max(row["version"] for row in mine) >= 2
    reduce = partial(history.reductions["text"], kind="review")
    for row, after in zip(mine, [*mine[1:], None], strict=True):
        last = after is None or after["id"] != row["id"]
        if not last and after["made_at"] == row["made_at"]:
            continue
        times = np.array([row["made_at"], row["made_at"] + 1, *([] if last else [after["made_at"]])])
        state = at(np.repeat(number([row["id"]]), len(times)), times)
        expected = reduce(encode([str(row["text"])]))[0] * bool(row["text"])
        for n in range(1, len(times)):
            np.testing.assert_allclose(state.profile[n], expected, atol=1e-5)
            assert state.profile_since[n] == row["made_at"]
        assert state.profile_since[0] != row["made_at"] or row["version"] == 0  # it does not know its own moment
        if row["version"] == 0:
            assert not state.profile[0].any()


def test_columns_are_cosines_and_ages(made) -> None:
    _, history, _ = made
    times = np.full(5, T1)
    users, items = history.users_at(np.arange(1, 6), times), history.items_at(np.arange(1, 6), times)
    found = dict(zip(profiles.NAMES, profiles.similarities(users, items).T, strict=True))
    norms = np.linalg.norm(users.profile, axis=1) * np.linalg.norm(items.profile, axis=1)
    expected = (users.profile * items.profile).sum(axis=1) / np.maximum(norms, 1e-12)
    np.testing.assert_allclose(found["profiles_cosine"], expected, atol=1e-5)
    assert found["user_profile_made"].any() and (found["user_profile_age"] >= 0).all()
    one = profiles.similarities(users.take(np.array([0])), items)
    np.testing.assert_allclose(one[0], profiles.similarities(users, items)[0], atol=1e-6)
    nobody = profiles.similarities(history.users_at(np.zeros(1, np.int64), times[:1]), items.take(np.array([0])))
    assert not nobody[:, [0, 1, 2, 4, 6]].any()


def test_what_the_target_says_is_in_no_profile_at_its_moment(made, world: World, tmp_path: Path) -> None:
    """The answer is swapped and every profile made anew: of what a model reads at its moment nothing moves."""
    _, history, rows = made
    ends = {(row["id"], row["made_at"]) for row in rows if row["side"] == "user"}
    review = next(r for r in world.reviews if r[C.TEXT] and (r[C.USER_ID], r[C.TIMESTAMP]) in ends)  # a version's last
    _, changed, _ = made_of(world.changed(review[C.REVIEW_ID], **{C.TEXT: "Delivery took a week. White."}), tmp_path)
    at = np.array([review[C.TIMESTAMP]])
    user, item = history.user_rows([review[C.USER_ID]]), history.item_rows([review[C.ITEM_ID]])
    for then, same in ((at, True), (at + 1, False)):
        before, after = ((h.users_at(user, then), h.items_at(item, then)) for h in (history, changed))
        assert np.allclose(before[0].profile, after[0].profile, atol=1e-5) == same
        if same:
            assert np.allclose(before[1].profile, after[1].profile, atol=1e-5)
