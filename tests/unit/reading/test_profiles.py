"""Profiles: when they are written anew, from what, by whom, and that none is paid for twice."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from encoding_stub import corpus_of

from llmrec.config import ReviewReadingConfig, RunConfig
from llmrec.config.text.reading import ProfilesConfig
from llmrec.encoding.store.keys import text_keys
from llmrec.files import write_parquet
from llmrec.reading.profiles.extractive import Extractive
from llmrec.reading.profiles.generate import Generate, read_profile, text_of
from llmrec.reading.profiles.stage import write_written
from llmrec.reading.profiles.versions import Spoken, spoken_of, version_ends, versions_of, write_versions
from llmrec.reading.readers.lexicon import read_by_words
from llmrec.reading.reading import Readings
from llmrec.reading.store import ProfileStore
from llmrec.schema import PROFILES
from llmrec.storage import Storage

PRIVATE = "Call me on +49 30 1234567 or write to jo.doe@example.com: the battery is excellent. Great blue tuner."


def test_a_profile_waits_until_enough_is_new() -> None:
    assert version_ends(1, ProfilesConfig()) == []
    assert version_ends(20, ProfilesConfig()) == [2, 4, 6, 9, 14]  # two at least, and half of those before
    assert version_ends(4, ProfilesConfig(new_reviews=1, growth=0)) == [1, 2, 3, 4]
    assert version_ends(40, ProfilesConfig(new_reviews=3, growth=1)) == [3, 6, 12, 24]


def test_words_are_counted_once_a_review_and_what_is_private_is_left_out() -> None:
    maker = Extractive()
    texts = [PRIVATE, "The battery is good. The battery is great. It is noisy.", "Noisy. Black. Great blue tuner."]
    kept = [maker.kept(text, read_by_words(text).model_dump()) for text in texts]
    document = maker.document("user", kept)
    assert document.startswith("liked: battery 2; disliked: noise 2; ") and "named: blue 2, black 1" in document
    assert "great blue tuner 2" in document and "doe" not in document and "1234567" not in document
    assert maker.document("item", [maker.kept("", None)]) == ""


def test_a_model_is_shown_the_newest_first_and_nothing_private() -> None:
    maker = Generate(max_tokens=64)
    document = maker.document("item", [maker.kept(text, None) for text in ("old " * 90, PRIVATE)])
    assert document.startswith("Reviews of one product:\n- Call me on [held back] or write to [held back]")
    assert len(document) == 64 * 6 and document.rstrip().endswith("old")


@pytest.mark.parametrize(("answer", "reason", "said"), [
    ('{"liked": ["low noise", "low noise"], "disliked": ["mail a@b.org"]}', "stop", None),
    ('{"liked": ["low', "length", "cut off"),
    ('{"liked": [], "disliked": [], "admin": true}', "stop", "does not fit the schema"),
])  # fmt: skip
def test_what_a_model_writes_is_held_to_its_form(answer: str, reason: str, said: str | None) -> None:
    profile = read_profile(answer, reason, 9)
    assert profile.output_tokens == 9 and (profile.error is None) == (said is None) and (said or "") in (
        profile.error or "")  # fmt: skip
    assert text_of(profile) == ("" if said else "liked: low noise; disliked: mail [held back]")


def test_a_version_is_made_of_what_came_before_its_moment(tmp_path: Path) -> None:
    corpus = corpus_of(Storage(str(tmp_path)), [f"The battery is good, {n}." if n % 4 else "" for n in range(40)])
    maker, settings = Generate(max_tokens=512), ProfilesConfig()
    spoken = spoken_of(corpus, None, maker)
    rows = list(versions_of(spoken, maker, settings))
    item = [row for row in rows if row["side"] == "item"]
    assert [row["reviews"] for row in item] == version_ends(30, settings)  # the empty ones are no reviews
    for row in rows:
        past = [s for s in spoken[row["side"], row["id"]] if s.time <= row["made_at"]]
        assert len(past) == row["reviews"] and row["text"] == maker.document(row["side"], [s.kept for s in past])
    halves = [spoken_of(corpus, None, maker, parts=2, part=part) for part in range(2)]
    assert not set(halves[0]) & set(halves[1]) and halves[0] | halves[1] == spoken


def test_events_of_one_time_come_in_their_own_order() -> None:
    spoken = {("user", "u"): sorted([Spoken(1, 9, "late"), Spoken(1, 2, "early")], key=lambda s: s[:2])}
    (row,) = versions_of(spoken, Generate(64), ProfilesConfig())
    assert row["text"].endswith("- late\n- early") and row["made_at"] == 1


def test_what_was_written_once_is_found_again(tmp_path: Path) -> None:
    corpus = corpus_of(Storage(str(tmp_path)), [f"The battery is good, {n}." for n in range(8)])
    maker, store = Generate(max_tokens=512), ProfileStore(str(tmp_path), "model")
    write_parquet(f"{tmp_path}/readings/0.parquet", pa.table({"review_id": [f"r{n}" for n in range(8)]}))
    n = write_versions(corpus, f"{tmp_path}/readings", maker, ProfilesConfig(), 1, f"{tmp_path}/documents", 0)
    documents = f"{tmp_path}/documents/part-00000.parquet"
    table = pq.read_table(documents)
    assert table.schema.equals(PROFILES) and table.num_rows == n
    keys = [str(key) for key in text_keys("model", table["text"].to_pylist())]
    assert store.missing(keys) == keys
    written = read_profile('{"liked": ["battery"], "disliked": []}', "stop", 5)
    store.commit(keys[1:], Readings((written,) * (n - 1), np.ones(n - 1, np.int32)))
    assert store.missing(keys) == keys[:1]
    failed = write_written(store, documents, f"{tmp_path}/profiles.parquet", {keys[0]: ("out of memory", "")})
    rows = pq.read_table(f"{tmp_path}/profiles.parquet").to_pylist()
    assert failed == 1 and (rows[0]["text"], rows[0]["error"]) == ("", "out of memory")
    assert {row["text"] for row in rows[1:]} == {"liked: battery"}
    assert [row["made_at"] for row in rows] == table["made_at"].to_pylist()


@pytest.mark.parametrize(("reader", "maker", "said"), [
    (None, "extractive", "found no reading.reader"), ("head", "extractive", "does not find"),
    ("lexicon", "extract", "extractive"),
])  # fmt: skip
def test_a_maker_without_anything_to_read_is_refused(reader: str | None, maker: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        RunConfig(reading=ReviewReadingConfig.model_validate({"reader": reader, "profiles": {"maker": maker}}))
