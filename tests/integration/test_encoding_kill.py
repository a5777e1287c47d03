"""SIGKILL at any moment: the next run goes on, pays again at most for batches in flight, and ends with every vector."""

from pathlib import Path

import numpy as np
import pytest
from encoding_job_script import BATCH
from encoding_stub import corpus_of, held_keys, paid, stub_vector
from killing import drawn_victims, killed_again_and_again

from llmrec.encoding import load_vectors, open_store
from llmrec.storage import Storage


def run_with_kills(folder: Path, n_texts: int, victims: list[str], seed: int) -> None:
    texts = [f"review {n} of a corpus that is being killed" for n in range(n_texts)]
    root, ledger = folder / "store", folder / "ledger"
    storage = Storage(str(root))
    corpus_of(storage, texts)
    killed_again_and_again("encoding_job_script.py", root, ledger, n_texts, victims, seed)
    (made,) = [storage.find("embeddings", p.parent.name) for p in root.glob("embeddings/*/manifest.json")]
    assert made is not None
    store = open_store(storage, made)
    assert len(held_keys(store)) == n_texts  # none missing, none too many
    vectors, present = load_vectors(storage, made, "review", [f"r{n}" for n in range(n_texts)])
    assert present.all()
    assert (vectors * np.array([stub_vector(text) for text in texts])).sum(axis=1).min() >= 0.9999
    assert len(paid(ledger)) - n_texts <= len(victims) * BATCH
    assert not [p for p in root.rglob("*.tmp") if p.stat().st_size and "vectors" not in p.parts]


@pytest.mark.slow
def test_a_killed_actor_and_a_killed_job(tmp_path: Path) -> None:
    run_with_kills(tmp_path, 500, ["actor", "driver"], seed=3)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_twenty_kills(tmp_path: Path) -> None:
    run_with_kills(tmp_path, 8000, drawn_victims(), seed=20)
