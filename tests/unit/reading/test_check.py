"""Looking counts, prices and shows; it stores nothing."""

from pathlib import Path

from encoding_stub import corpus_of

from llmrec.config import ReviewReadingConfig, RunConfig
from llmrec.reading import check
from llmrec.storage import Storage


def test_a_look_is_a_forecast_and_ten_readings(tmp_path: Path) -> None:
    storage = Storage(str(tmp_path))
    texts = [f"The battery is good, number {n}." for n in range(40)]
    corpus = corpus_of(storage, [*texts, "", texts[1]])
    before = sorted(tmp_path.rglob("*"))
    reading = ReviewReadingConfig(reader="lexicon", price_input=1e6)
    found = check(RunConfig(storage=str(tmp_path), reading=reading), storage, corpus, None)
    assert (found["rows"], found["distinct_texts"], found["to_read"]) == (42, 40, 40)
    assert found["prompt_tokens"] == found["money"] == 40 * 6 and found["output_tokens"] == 0
    assert len(found["sample"]) == 10 and all(s["aspects"][0]["term"] == "battery" for s in found["sample"])
    assert "profiles" not in found and sorted(tmp_path.rglob("*")) == before


def test_a_look_counts_the_profiles_too(tmp_path: Path) -> None:
    storage = Storage(str(tmp_path))
    corpus = corpus_of(storage, [f"The battery is good, number {n}." for n in range(20)])  # of one item and seven users
    reading = ReviewReadingConfig.model_validate({"reader": "lexicon", "profiles": {"maker": "extractive"}})
    found = check(RunConfig(storage=str(tmp_path), reading=reading), storage, corpus, None)["profiles"]
    assert found == {"maker": "extractive", "versions": 5 + 7}


def test_an_empty_corpus_has_nothing_to_read(tmp_path: Path) -> None:
    storage = Storage(str(tmp_path))
    found = check(RunConfig(reading=ReviewReadingConfig(reader="lexicon")), storage, corpus_of(storage, []), None)
    assert (found["rows"], found["to_read"], found["sample"]) == (0, 0, [])
