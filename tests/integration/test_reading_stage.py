"""The stage `read` on a local Ray cluster: every review a row, every text paid for once."""

from pathlib import Path

import numpy as np
import pytest
from encoding_stub import STUB, corpus_of, stub_factory

from llmrec.config import EncodingConfig, ReviewReadingConfig, RunConfig
from llmrec.config.text.reading import ProfilesConfig
from llmrec.corpus.splits import review_cutoffs
from llmrec.encoding import encode
from llmrec.reading.stage import read
from llmrec.schema import READINGS
from llmrec.storage import Storage

pytestmark = pytest.mark.usefixtures("ray_cluster")
TEXTS = [f"Number {n}: the battery is {'excellent, I love it' if n % 2 else 'terrible'}." for n in range(60)]
LONG = "太吵了。" * 25_000


def run_config(root: Path, reader: str) -> RunConfig:
    reading = ReviewReadingConfig(reader=reader, batch_texts=16)
    return RunConfig(storage=str(root), encoding=EncodingConfig(encoder=STUB), reading=reading)


def test_every_review_has_its_row_and_no_text_is_paid_for_twice(tmp_path: Path) -> None:
    storage = Storage(str(tmp_path))
    corpus = corpus_of(storage, [*TEXTS, TEXTS[0], "", "🙂🙂", LONG])
    made = read(run_config(tmp_path, "lexicon"), storage, corpus)
    info, table = made.manifest.info, made.table("readings")
    assert (info["texts"], info["read"], info["cache_hits"]) == (62, 62, 0)
    assert table.schema.equals(READINGS) and table.num_rows == 64
    rows = {row["review_id"]: row for row in table.to_pylist()}
    assert rows["r0"]["sentiment"] < 0 < rows["r1"]["sentiment"] and rows["r60"]["sentiment"] == rows["r0"]["sentiment"]
    assert [a["category"] for a in rows["r1"]["aspects"]] == ["battery"]
    assert rows["r61"]["error"] == "the review has no text" and rows["r62"]["error"] == "no word to read"
    page = Path(made.uri("aspects.html").removeprefix("file://")).read_text("utf-8")
    assert "excellent" in page and "<mark>battery</mark>" in page
    assert rows["r63"]["language"] == "zh" and made.manifest.counts["failed"] == 2
    assert (again := read(run_config(tmp_path, "lexicon"), storage, corpus)).reused
    assert "learned_before" not in again.manifest.info
    more = corpus_of(storage, [*TEXTS[:10], "A new week, and a new review."], name="more")
    again = read(run_config(tmp_path, "lexicon"), storage, more).manifest.info
    assert (again["cache_hits"], again["read"]) == (10, 1)


def test_the_head_learns_from_stars_before_the_cut_off(tmp_path: Path) -> None:
    storage = Storage(str(tmp_path))
    corpus = corpus_of(
        storage, [f"{'good' if n % 3 else 'bad'} battery, number {n}" for n in range(90)], stars=(1, 5, 5)
    )
    config = run_config(tmp_path, "head")
    embeddings = encode(config, storage, corpus, factory=stub_factory())
    made = read(config, storage, corpus, embeddings)
    sentiment = np.array(made.table("readings")["sentiment"].to_pylist(), float)
    assert np.isfinite(sentiment).all() and (np.abs(sentiment) <= 1).all() and sentiment.std() > 0
    assert made.manifest.info["learned_before"] == review_cutoffs(corpus, config.split).t1
    told = run_config(tmp_path, "lexicon").reading.model_copy(update={"profiles": ProfilesConfig(maker="extractive")})
    profiled = read(config.model_copy(update={"reading": told}), storage, corpus, embeddings)
    rows = profiled.table("profiles").to_pylist()
    assert profiled.manifest.counts["profiles"] == len(rows) > 10
    said = [row["text"] for row in rows]
    assert said[0].startswith("liked: battery")
    assert profiled.manifest.counts["profiles_encoded"] == len(set(said))
    with pytest.raises(ValueError, match="head needs the encoder's vectors"):
        read(config, storage, corpus)
