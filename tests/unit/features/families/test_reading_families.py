"""What was read enters features as of the moment before: counted by hand, and blind to the target's own review."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from factories.features import START, T1, World

from llmrec.config import RunConfig, SplitConfig
from llmrec.encoding.store.keys import text_keys
from llmrec.features.build import stage
from llmrec.features.dataset.rows import load_features
from llmrec.features.families import readings as families
from llmrec.reading.readers.lexicon import read_by_words
from llmrec.reading.reading import Readings
from llmrec.reading.store import ReadingStore
from llmrec.reading.vectors import reading_row
from llmrec.schema import DAY_MS, TEXT_KEYS
from llmrec.schema import Column as C
from llmrec.storage import Artifact, Storage

SAID = ("The battery is excellent.", "The battery is terrible.", "It is quiet and sturdy.", "", "Delivery took a week.")


def talking(world: World) -> World:
    rows = [row | {C.TEXT: SAID[at % len(SAID)]} for at, row in enumerate(world.reviews)]
    return replace(world, reviews=rows)


def read_all(storage: Storage, corpus: Artifact) -> Artifact:
    """The artifact `readings` of the corpus by word lists, without Ray."""
    rows = corpus.table("reviews", [C.REVIEW_ID, C.TEXT]).to_pylist()
    texts = sorted({row[C.TEXT] for row in rows} - {""})
    values = Readings(tuple(read_by_words(text) for text in texts), np.ones(len(texts), np.int32))
    ReadingStore(storage.root, "words").commit([str(key) for key in text_keys("words", texts)], values)
    with storage.build("readings", "r", module="llmrec.reading.stage", config={}, parents={}) as writer:
        keys = text_keys("words", [row[C.TEXT] for row in rows])
        columns = [["review"] * len(rows), [row[C.REVIEW_ID] for row in rows], keys]
        writer.write_table("text_keys", pa.table([pa.array(c, pa.string()) for c in columns], schema=TEXT_KEYS))
        writer.info["fingerprint"] = "words"
    found = storage.find("readings", "r")
    assert found is not None
    return found


def made_of(world: World, folder: Path) -> Artifact:
    storage = Storage(str(folder))
    corpus, embeddings = world.stored(storage)
    split = SplitConfig(validation_quantile=0.6, test_quantile=0.8)
    config = RunConfig(features=world.settings, split=split)
    return stage.featurize(config, storage, corpus, embeddings, "test", read_all(storage, corpus))


@pytest.fixture(scope="module")
def world() -> World:
    return talking(World.random())


@pytest.fixture(scope="module")
def made(world: World, tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    return made_of(world, tmp_path_factory.mktemp("read"))


def test_sentiment_and_aspects_are_those_of_earlier_reviews(world: World, made: Artifact) -> None:
    spec, history = load_features(made)
    assert {"text_read_user", "text_read_item", "text_read_match"} <= set(spec.families)
    assert made.manifest.info["families"]["text_read_user_aspects"] == len(families.aspect_names("user"))
    now = START + 60 * DAY_MS
    for user in history.user_ids[1:6]:
        past = [r for r in world.reviews if r[C.USER_ID] == user and r[C.TIMESTAMP] < now and r[C.TEXT]]
        values = [read_by_words(r[C.TEXT]) for r in past]
        found = families.scalars(history.users_at(history.user_rows([user]), np.array([now])))[0]
        expected = sum(v.sentiment or 0 for v in values) / (len(values) + families.PRIOR)
        assert found[0] == pytest.approx(np.log1p(len(values)), abs=1e-6)
        assert found[families.SCALAR_NAMES.index("sentiment")] == pytest.approx(expected, abs=1e-6)
        aspects = dict(zip(families.aspect_names("user"), families.aspects(
            history.users_at(history.user_rows([user]), np.array([now])))[0], strict=True))  # fmt: skip
        spoken = sum("battery" in r[C.TEXT] for r in past) / (len(past) + families.PRIOR)
        assert aspects["user_speaks_of_battery"] == pytest.approx(spoken, abs=1e-6)


def test_a_match_is_what_the_user_speaks_of_on_how_the_item_is_judged(world: World, made: Artifact) -> None:
    _, history = load_features(made)
    now = np.array([START + 89 * DAY_MS])
    users = history.users_at(np.arange(1, 6), np.repeat(now, 5))
    items = history.items_at(np.arange(1, 6), np.repeat(now, 5))
    found = dict(zip(families.MATCH_NAMES, families.match(users, items).T, strict=True))
    assert (found["cares_praised"] >= 0).all() and (found["aspects_shared"] > 0).any()
    np.testing.assert_allclose(found["cares_judged"], found["cares_praised"] - found["cares_blamed"], atol=1e-6)
    one = families.match(users.take(np.array([0])), items)
    np.testing.assert_allclose(one[0], families.match(users, items)[0], atol=1e-6)
    nobody = families.match(history.users_at(np.zeros(1, np.int64), now), items.take(np.array([0])))
    assert not nobody.any()


def test_the_targets_own_words_enter_nothing(world: World, made: Artifact, tmp_path: Path) -> None:
    _, history = load_features(made)
    review = max(world.reviews, key=lambda r: (r[C.TIMESTAMP] < T1, r[C.TIMESTAMP]))
    other = made_of(world.changed(review[C.REVIEW_ID], **{C.TEXT: "Noisy, broken, waste of money!"}), tmp_path)
    changed = load_features(other)[1]
    at = np.array([review[C.TIMESTAMP]])
    for then, same in ((at, True), (at + 1, False)):
        states = [
            (h.users_at(h.user_rows([review[C.USER_ID]]), then), h.items_at(h.item_rows([review[C.ITEM_ID]]), then))
            for h in (history, changed)
        ]
        for before, after in zip(*states, strict=True):
            assert np.array_equal(before.reading, after.reading) == same


def test_what_a_newcomer_says_counts_as_one_review(world: World, made: Artifact) -> None:
    _, history = load_features(made)
    nobody, time, row = np.zeros(0, np.int64), START + 60 * DAY_MS, reading_row(read_by_words(SAID[0]))
    words = np.ones(world.dim, np.float32)
    unread, guest = (history.cold_start_state(nobody, words, time, reading=read) for read in (None, row))
    assert not unread.reading.any()
    assert families.scalars(guest)[0, :2] == pytest.approx([np.log1p(1)] * 2)
    at = families.aspect_names("user").index("user_judges_battery")
    assert families.aspects(guest)[0, at] > 0 == families.aspects(unread)[0, at]
    other = history.cold_start_state(nobody, words, time, reading=row[:3])  # of a reader of other columns
    assert not other.reading.any()
