"""The encode stage on a local Ray cluster with a stub engine: what is paid, what is refused, what survives."""

import errno
import logging
import os
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from encoding_stub import corpus_of, held_keys, paid, run_config, stub_factory, stub_vector
from factories.cluster import all_cpus_held

from llmrec import tasks
from llmrec.encoding import EncodingError, encode, encoder_config, load_vectors, open_store
from llmrec.encoding.store.keys import text_key
from llmrec.schema import QUARANTINE, TEXT_KEYS
from llmrec.storage import Artifact, Storage

pytestmark = pytest.mark.usefixtures("ray_cluster")
TEXTS = [f"review number {n} 很好" for n in range(300)]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 2 MB."""
    folder = tmp_path / "small"
    folder.mkdir()
    if os.geteuid() != 0 or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", folder]).returncode:
        pytest.skip("needs the right to mount a tmpfs")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def test_every_text_once_whatever_runs_and_every_row_has_its_vector(tmp_path: Path) -> None:
    """By two actors; then nothing is paid again: not by one actor, not in another corpus, but for what is new in it."""
    storage, ledger = Storage(str(tmp_path)), tmp_path / "ledger"
    factory = stub_factory(ledger=ledger)
    corpus = corpus_of(storage, [*TEXTS, TEXTS[0], "", "  "], items=["Guitar", "Guitar", "Capo"])
    made = encode(run_config(tmp_path, actors=2, threads_per_actor=1), storage, corpus, factory=factory)
    assert sorted(paid(ledger)) == sorted(map(repr, [*TEXTS, "Guitar", "Capo"]))
    assert made.manifest.counts == {"rows_in": 306, "rows_out": 306, "quarantined": 0}
    assert not list(tmp_path.glob("embeddings/**/*.arrow"))  # no scratch is left
    info = made.manifest.info
    assert (info["texts"], info["encoded"], info["cache_hits"], info["dim"]) == (302, 302, 0, 8)
    vectors, present = load_vectors(storage, made, "review", [f"r{n}" for n in range(304)])
    np.testing.assert_array_equal(vectors[:301], [stub_vector(text) for text in [*TEXTS, TEXTS[0]]])
    assert present.tolist() == [True] * 301 + [False] * 3 and not vectors[301:].any()
    items, _ = load_vectors(storage, made, "item", ["i1", "i2"])
    np.testing.assert_array_equal(items, [stub_vector("Guitar"), stub_vector("Capo")])
    _tables_have_their_schema(storage, made)
    alone = encode(run_config(tmp_path, actors=1), storage, corpus, factory=factory)
    assert alone.reused and alone.id == made.id
    ledger.unlink()
    again = encode(run_config(tmp_path), storage, corpus_of(storage, TEXTS, name="again"), factory=factory)
    assert (paid(ledger), again.manifest.info["encoded"], again.manifest.info["cache_hits"]) == ([], 0, 300)
    assert again.manifest.info["n_tokens"] == 4 * 300
    new = ["new 1", "new 2", "new 3"]
    grown = encode(run_config(tmp_path), storage, corpus_of(storage, TEXTS + new, name="grown"), factory=factory)
    assert sorted(paid(ledger)) == sorted(map(repr, new))
    assert (grown.manifest.info["encoded"], grown.manifest.info["cache_hits"]) == (3, 300)


def _tables_have_their_schema(storage: Storage, made: Artifact) -> None:
    keys = made.table("text_keys")
    assert keys.schema.equals(TEXT_KEYS) and made.table("quarantine").schema.equals(QUARANTINE)
    key = text_key(made.manifest.info["fingerprint"], TEXTS[0])
    rows = keys.to_pylist()
    assert {"kind": "review", "id": "r0", "key": key} in rows and {"kind": "review", "id": "r301", "key": None} in rows
    assert encoder_config(made) == run_config("").encoding.encoder
    assert open_store(storage, made).find([key]).vectors.shape == (1, 8)


def test_sequences_are_encoded_where_they_are_asked_for(tmp_path: Path) -> None:
    storage, ledger = Storage(str(tmp_path)), tmp_path / "ledger"
    corpus = corpus_of(storage, ["first", "second"] * 7, items=["Guitar"])  # seven users, each has i0 twice
    made = encode(run_config(tmp_path, sequence_items=2), storage, corpus, factory=stub_factory(ledger=ledger))
    assert sorted(paid(ledger)) == sorted(map(repr, ["first", "second", "Guitar", "Guitar\nGuitar"]))
    assert made.manifest.counts == {"rows_in": 29, "rows_out": 29, "quarantined": 0}
    vectors, present = load_vectors(storage, made, "sequence", ["r0", "r13", "i0"])
    np.testing.assert_array_equal(vectors[:2], [stub_vector("Guitar"), stub_vector("Guitar\nGuitar")])
    assert present.tolist() == [True, True, False]
    without = encode(run_config(tmp_path), storage, corpus, factory=stub_factory(ledger=ledger))
    assert without.id != made.id and not load_vectors(storage, without, "sequence", ["r0"])[1].any()


def test_another_encoder_pays_anew_into_its_own_store(tmp_path: Path) -> None:
    storage, ledger = Storage(str(tmp_path)), tmp_path / "ledger"
    corpus, config = corpus_of(storage, ["a", "b"]), run_config(tmp_path)
    one = encode(config, storage, corpus, factory=stub_factory(ledger=ledger))
    prompted = config.encoding.encoder.model_copy(update={"document_prompt": "passage: "})
    two = encode(run_config(tmp_path, encoder=prompted), storage, corpus, factory=stub_factory(ledger=ledger))
    assert len(paid(ledger)) == 4
    assert one.manifest.info["fingerprint"] != two.manifest.info["fingerprint"]


def test_bad_rows_cost_nobody_else_and_a_language_that_is_not_known_is_warned_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    storage = Storage(str(tmp_path))
    texts = [*TEXTS[:90], "POISON one", *TEXTS[90:150], "POISON two", "POISON one"]
    corpus = corpus_of(storage, texts, items=["POISON one"])
    with caplog.at_level(logging.WARNING):
        made = encode(run_config(tmp_path), storage, corpus, factory=stub_factory(unknown=2))
    assert made.manifest.counts == {"rows_in": 154, "rows_out": 150, "quarantined": 4}
    rows = made.table("quarantine").to_pylist()
    assert {(r["source"], r["review_id"]) for r in rows} == {
        ("encode/review", "r90"), ("encode/review", "r151"), ("encode/review", "r152"), ("encode/item", "i0"),
    }  # fmt: skip
    assert {(r["reason"], r["detail"]) for r in rows} == {("engine_error", "RuntimeError: cannot digest this")}
    assert {r["raw"] for r in rows} == {"POISON one", "POISON two"}
    assert load_vectors(storage, made, "review", ["r90", "r91"])[1].tolist() == [False, True]
    assert made.manifest.info["unknown_share"] == pytest.approx(2 / 4)
    assert "50.0% of the tokens are unknown" in made.manifest.info["warnings"][0]
    assert "50.0% of the tokens are unknown" in caplog.text


def test_an_engine_that_fails_on_everything_stops_with_its_message(tmp_path: Path) -> None:
    storage = Storage(str(tmp_path))
    with pytest.raises(EncodingError, match=r"the encoder fails on every text.*device lost"):
        encode(run_config(tmp_path), storage, corpus_of(storage, ["a", "b"]), factory=stub_factory(broken=True))
    assert not list(Path(tmp_path, "embeddings").rglob("manifest.json"))


def test_an_encoder_that_cannot_start_stops_with_its_message(tmp_path: Path) -> None:
    storage = Storage(str(tmp_path))
    with pytest.raises(EncodingError, match="unexpected keyword argument 'colour'"):
        encode(run_config(tmp_path), storage, corpus_of(storage, ["a"]), factory=stub_factory(colour="red"))


def test_a_full_disk_says_so_and_a_second_run_finishes(tmp_path: Path, small_disk: Path) -> None:
    storage, ledger = Storage(str(small_disk)), tmp_path / "ledger"
    corpus = corpus_of(storage, TEXTS)
    ballast = small_disk / "ballast"
    with ballast.open("wb", buffering=0) as out, pytest.raises(OSError, match="No space left"):
        while True:
            out.write(bytes(4096))
    ballast.write_bytes(ballast.read_bytes()[: -40 * 1024])  # room for a few parts
    with pytest.raises(OSError, match="No space left") as caught:
        encode(run_config(small_disk), storage, corpus, factory=stub_factory(ledger=ledger))
    assert caught.value.errno == errno.ENOSPC
    assert not list(small_disk.rglob("embeddings/*/manifest.json"))
    assert not list(small_disk.rglob("*.arrow"))  # scratch goes when the run fails, too
    ballast.unlink()
    made = encode(run_config(small_disk), storage, corpus, factory=stub_factory(ledger=ledger))
    vectors = load_vectors(storage, made, "review", [f"r{n}" for n in range(300)])[0]
    np.testing.assert_array_equal(vectors, [stub_vector(text) for text in TEXTS])


def test_two_jobs_on_one_store_at_once(tmp_path: Path) -> None:
    storage, made, factory = Storage(str(tmp_path)), [], stub_factory(seconds_a_text=0.002)
    corpora = [corpus_of(storage, TEXTS, name="one"), corpus_of(storage, [*TEXTS[::-1], "more"], name="two")]

    def job(at: int) -> None:
        made.append(encode(run_config(tmp_path), storage, corpora[at], factory=factory))

    jobs = [threading.Thread(target=job, args=(at,)) for at in range(2)]
    for each in jobs:
        each.start()
    for each in jobs:
        each.join(timeout=240)
    assert len(made) == 2
    store = open_store(storage, made[0])
    assert len(held_keys(store)) == 301
    for artifact, last in zip(sorted(made, key=lambda a: a.manifest.counts["rows_in"]), ("r299", "r300"), strict=True):
        assert load_vectors(storage, artifact, "review", ["r0", last])[1].all()


def test_a_corpus_without_rows(tmp_path: Path) -> None:
    storage = Storage(str(tmp_path))
    made = encode(run_config(tmp_path), storage, corpus_of(storage, []), factory=stub_factory())
    assert made.manifest.counts == {"rows_in": 0, "rows_out": 0, "quarantined": 0}
    assert load_vectors(storage, made, "review", ["r0"])[1].tolist() == [False]


def test_cpus_that_somebody_else_holds_are_an_error_and_not_a_hang(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks, "PATIENCE_S", 2.0)
    storage = Storage(str(tmp_path))
    with all_cpus_held(), pytest.raises(EncodingError, match=r"for 2 s: 0\S* of the cluster's 2 logical CPUs are free"):
        encode(run_config(tmp_path), storage, corpus_of(storage, ["a"]), factory=stub_factory())
