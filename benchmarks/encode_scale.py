"""How the encode stage grows: memory and CPU from 10,000 to 1,000,000 texts, a re-run's cost, two actors against one.

    .venv/bin/python -m benchmarks.encode_scale [--small 10000] [--large 1000000] [--actor-texts 800]

The first part runs a stand-in engine that returns random vectors, so that all that is left is our own work. Memory is
the peak, over the run, of a process's private resident bytes (its own, without Ray's shared object store). The second
part runs the real engine: one actor of one thread, then two, in turn.
"""

import argparse
import json
import multiprocessing
import os
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import psutil
import pyarrow as pa

from benchmarks.common import private_bytes, sampled
from llmrec.config import EncoderConfig, EncodingConfig, RunConfig
from llmrec.encoding import Encoded, TextEncoder, encode, encoder_fingerprint, make_encoder
from llmrec.files import write_parquet
from llmrec.schema import ITEMS, REVIEWS
from llmrec.storage import Artifact, Storage

DIM = 384
ROWS_A_FILE = 100_000


class RandomEncoder:
    """Random vectors, at no cost."""

    def __init__(self, config: EncoderConfig) -> None:
        self._config = config

    @property
    def dim(self) -> int:
        return DIM

    @property
    def fingerprint(self) -> str:
        return encoder_fingerprint(self._config)

    def encode(self, texts: Sequence[str], kind: str = "document") -> Encoded:
        """(n, DIM) float32."""
        vectors = np.random.default_rng(len(texts)).random((len(texts), DIM), np.float32)
        return Encoded(vectors, np.full(len(texts), 9, np.int32), np.zeros(len(texts), np.int32))


def random_encoder(config: EncoderConfig, threads: int | None = None, **_: int) -> TextEncoder:
    """A factory for `encode`."""
    return RandomEncoder(config)


@dataclass
class EncodeUsage:
    """What was seen over one run."""

    driver_bytes: int = 0
    actor_bytes: list[int] = field(default_factory=list)  # each sample
    cpu_seconds: dict[int, float] = field(default_factory=dict)  # by process

    def sample(self, me: psutil.Process) -> None:
        """Look at this process and all it started."""
        for process in [me, *me.children(recursive=True)]:
            try:
                private, times = private_bytes(process), process.cpu_times()
                name = " ".join(process.cmdline())
            except psutil.Error:
                continue
            self.cpu_seconds[process.pid] = times.user + times.system
            if process.pid == me.pid:
                self.driver_bytes = max(self.driver_bytes, private)
            elif "EncodeActor" in name:
                self.actor_bytes.append(private)


@contextmanager
def measured() -> Iterator[EncodeUsage]:
    """Sample usage ten times a second; CPU-seconds are those spent inside."""
    usage, me = EncodeUsage(), psutil.Process()
    usage.sample(me)
    before = dict(usage.cpu_seconds)
    with sampled(lambda: usage.sample(me)):
        yield usage
    usage.cpu_seconds = {pid: spent - before.get(pid, 0.0) for pid, spent in usage.cpu_seconds.items()}


def corpus_of(storage: Storage, n_texts: int) -> Artifact:
    """A corpus of `n_texts` different reviews; another process makes it, and takes its memory along."""
    maker = multiprocessing.get_context("spawn").Process(target=_make_corpus, args=(storage, n_texts))
    maker.start()
    maker.join()
    corpus = storage.find("corpus", f"n{n_texts}")
    assert corpus is not None, f"making the corpus ended with exit code {maker.exitcode}"
    return corpus


def _make_corpus(storage: Storage, n_texts: int) -> None:
    """Some 60 words each, in files of ROWS_A_FILE."""
    words = [f"word{n}" for n in range(2000)]
    rng = np.random.default_rng(0)
    with storage.build("corpus", f"n{n_texts}", module="llmrec.corpus", config={}, parents={}) as writer:
        for start in range(0, n_texts, ROWS_A_FILE):
            ids = range(start, min(start + ROWS_A_FILE, n_texts))
            drawn = rng.integers(0, len(words), (len(ids), 60))
            texts = [f"{n} " + " ".join(words[w] for w in row) for n, row in zip(ids, drawn, strict=True)]
            write_parquet(writer.uri(f"reviews/{start:09d}.parquet"), _reviews(list(ids), texts))
        writer.write_table("items", ITEMS.empty_table())


def _reviews(ids: list[int], texts: Sequence[str]) -> pa.Table:
    rows = [f"r{n}" for n in ids]
    ones = pa.array(np.ones(len(ids)), pa.float32())
    columns = [rows, rows, rows, ids, pa.array(ids, pa.uint64()), ones, pa.nulls(len(ids), pa.string()), list(texts)]
    return pa.table([pa.array(c, f.type) for c, f in zip(columns, REVIEWS, strict=True)], schema=REVIEWS)


def stub_run(n_texts: int) -> dict[str, float]:
    """Peak megabytes of driver and actor, the median of the actor's while it runs, and CPU-seconds."""
    encoding = EncodingConfig(encoder=EncoderConfig(backend="hashing", dimension=DIM), actors=1, storage_dtype="int8")
    with tempfile.TemporaryDirectory() as root:
        storage = Storage(root)
        corpus = corpus_of(storage, n_texts)
        config = RunConfig(storage=root, encoding=encoding)
        with measured() as usage:
            made = encode(config, storage, corpus, factory=random_encoder)
        assert made.manifest.info["encoded"] == n_texts
    cpu = sum(usage.cpu_seconds.values())
    peak, middle = max(usage.actor_bytes) / 2**20, statistics.median(usage.actor_bytes) / 2**20
    return {"driver_mb": usage.driver_bytes / 2**20, "actor_mb": peak, "actor_median_mb": middle, "cpu_s": cpu}


def engine_run(texts: Sequence[str], actors: int) -> tuple[float, float]:
    """(seconds of encoding, seconds of a second run over the finished store), real engine, one thread an actor."""
    encoding = EncodingConfig(actors=actors, threads_per_actor=1, batch_texts=100)
    with tempfile.TemporaryDirectory() as root:
        storage = Storage(root)
        with storage.build("corpus", "texts", module="llmrec.corpus", config={}, parents={}) as writer:
            writer.write_table("reviews", _reviews(list(range(len(texts))), texts))
            writer.write_table("items", ITEMS.empty_table())
        corpus = storage.find("corpus", "texts")
        assert corpus is not None
        config = RunConfig(storage=root, encoding=encoding)
        first = encode(config, storage, corpus, factory=make_encoder)
        again = config.model_copy(update={"encoding": encoding.model_copy(update={"max_unknown_share": 1.0})})
        started = time.perf_counter()
        second = encode(again, storage, corpus, factory=make_encoder)  # another artifact, the same store
        assert second.manifest.info["encoded"] == 0 and not second.reused
        return float(first.manifest.info["encode_seconds"]), time.perf_counter() - started


def main() -> None:
    """Print one JSON line."""
    import ray

    from benchmarks.encode import corpus_texts
    from jobs.cluster import start_local

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--small", type=int, default=10_000)
    parser.add_argument("--large", type=int, default=1_000_000)
    parser.add_argument("--actor-texts", type=int, default=800, help="texts of the real engine's part; 0 leaves it out")
    parser.add_argument("--rounds", type=int, default=2)
    options = parser.parse_args()
    os.environ.setdefault("RAY_worker_niceness", "0")  # Ray's default of 15 would yield to whatever else runs here
    start_local(4, log_to_driver=False, configure_logging=False)
    stub_run(options.large // 4)  # starts the workers, which is paid once
    result: dict[str, Any] = {}
    sizes = {"small": options.small, "quarter": options.large // 4, "half": options.large // 2, "large": options.large}
    for name, n_texts in sizes.items():
        result[name] = {key: round(value, 1) for key, value in stub_run(n_texts).items()} | {"texts": n_texts}
    result["driver_memory_growth"] = round(result["large"]["driver_mb"] / result["small"]["driver_mb"] - 1, 3)
    result["actor_memory_growth"] = round(result["large"]["actor_mb"] / result["small"]["actor_mb"] - 1, 3)
    # What the workers' start costs is paid once: a text's cost is the slope between two sizes.
    early = (result["half"]["cpu_s"] - result["quarter"]["cpu_s"]) / (sizes["half"] - sizes["quarter"])
    late = (result["large"]["cpu_s"] - result["half"]["cpu_s"]) / (sizes["large"] - sizes["half"])
    result |= {"cpu_ms_per_text": round(late * 1000, 3), "cpu_per_text_growth": round(late / early - 1, 3)}
    if options.actor_texts:
        texts = sorted({text for text in corpus_texts(None) if text})[: options.actor_texts]
        runs = [(engine_run(texts, 1), engine_run(texts, 2)) for _ in range(options.rounds)]
        result["two_actors_speedup"] = round(statistics.median(one[0] / two[0] for one, two in runs), 3)
        result["rerun_share"] = round(statistics.median(one[1] / one[0] for one, _ in runs), 3)
    ray.shutdown()
    print(json.dumps({"benchmark": "encode_scale", **result}))


if __name__ == "__main__":
    main()
