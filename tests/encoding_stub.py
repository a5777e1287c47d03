"""A stand-in engine behind the TextEncoder interface, and corpora made by hand, for the tests of the encode stage."""

import hashlib
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from ray import cloudpickle

from llmrec.config import EncoderConfig, EncodingConfig, RunConfig
from llmrec.encoding import EmbeddingStore, Encoded, TextEncoder, encoder_fingerprint
from llmrec.encoding.store.keys import column_keys
from llmrec.schema import ITEMS, REVIEWS
from llmrec.storage import Artifact, Storage

cloudpickle.register_pickle_by_value(sys.modules[__name__])  # Ray's workers do not see the folder of the tests
DIM = 8
#: The stub's vectors do not come from this backend; it is the one whose fingerprint needs no model files.
STUB = EncoderConfig(backend="hashing", dimension=DIM)


@dataclass
class StubEncoder:
    """Vectors that depend on the text alone. Writes every batch it was asked for into `ledger`."""

    config: EncoderConfig
    ledger: Path | None = None
    seconds_a_text: float = 0.0
    broken: bool = False
    unknown: int = 0

    @property
    def dim(self) -> int:
        return DIM

    @property
    def fingerprint(self) -> str:
        return encoder_fingerprint(self.config)

    def encode(self, texts: Sequence[str], kind: str = "document") -> Encoded:
        if self.broken:
            raise RuntimeError("CUDA error: device lost")
        if any("POISON" in text for text in texts):
            raise RuntimeError("cannot digest this")
        time.sleep(self.seconds_a_text * len(texts))
        if self.ledger is not None:
            with self.ledger.open("a") as out:  # one write: appends of several processes do not mix
                out.write("".join(f"{os.getpid()} {text!r}\n" for text in texts))
        vectors = np.array([stub_vector(text) for text in texts], np.float32).reshape(len(texts), DIM)
        lengths = np.array([len(text.split()) for text in texts], np.int32)
        return Encoded(vectors, lengths, np.full(len(texts), self.unknown, np.int32))


def stub_vector(text: str) -> np.ndarray:
    """(DIM,) float32 of length one."""
    seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")
    vector = np.random.default_rng(seed).standard_normal(DIM).astype(np.float32)
    return vector / np.linalg.norm(vector)


def make_stub(config: EncoderConfig, threads: int | None = None, *, stub: dict | None = None, **_: int) -> TextEncoder:
    return StubEncoder(config, **(stub or {}))


def stub_factory(**stub: object) -> Callable[..., TextEncoder]:
    """What `encode(factory=...)` takes in place of `make_encoder`."""
    return partial(make_stub, stub=stub)


def paid(ledger: Path) -> list[str]:
    """Every text the stub was paid for, doubles included."""
    return [line.split(" ", 1)[1] for line in ledger.read_text().splitlines()] if ledger.exists() else []


def held_keys(store: EmbeddingStore) -> np.ndarray:
    """(n,) the distinct keys of all shards."""
    paths = [part.path for prefix in store.prefixes() for part in store.parts(prefix)]
    return np.unique(np.concatenate([column_keys(pq.read_table(path, columns=["key"])) for path in paths]))


def run_config(root: Path | str, **encoding: object) -> RunConfig:
    settings = {"encoder": STUB, "batch_texts": 64} | encoding
    return RunConfig(storage=str(root), encoding=EncodingConfig(**settings))


def corpus_of(
    storage: Storage, texts: Sequence[str], name: str = "hand", items: Sequence[str] = (), stars: Sequence[float] = ()
) -> Artifact:
    """A corpus with one review a text and one item a title; ids r0, r1, … and i0, i1, …; `stars` in turn."""
    reviews = [
        {"review_id": f"r{n}", "user_id": f"u{n % 7}", "item_id": "i0", "timestamp": n, "event_order": n, "text": text,
         "stars": stars[n % len(stars)] if stars else None}
        for n, text in enumerate(texts)
    ]  # fmt: skip
    titles = [{"item_id": f"i{n}", "title": title} for n, title in enumerate(items)]
    with storage.build("corpus", name, module="llmrec.corpus", config={}, parents={}) as writer:
        writer.write_table("reviews", pa.Table.from_pylist(reviews, schema=REVIEWS))
        writer.write_table("items", pa.Table.from_pylist(titles, schema=ITEMS))
    corpus = storage.find("corpus", name)
    assert corpus is not None
    return corpus
