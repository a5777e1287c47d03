"""The whole stage `featurize`, artifacts in and artifact out: seconds, and how memory grows with the corpus.

    python -m benchmarks.featurize_stage [--sizes 5000 50000 200000]

Corpora of the built-in generator with random vectors of 384 numbers in the embedding store, in a local Ray cluster
that is up; its workers start within the run, where the size calls for them. Each size has a process of its own.
Memory is the peak, while the stage runs, of a process's private resident bytes (without Ray's shared object store):
of the driver above where it stood before, and of the largest worker. CPU seconds are those of both; on a busy machine
they say more than seconds do.
Last line: `{"benchmark": "featurize_stage", "sizes": [{"reviews": …, "seconds": …, "driver_growth_mib": …, …}]}`.
"""

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import psutil
import pyarrow as pa

from benchmarks.common import private_bytes, sampled
from llmrec.config import RunConfig
from llmrec.config.data.corpus import SampleConfig
from llmrec.corpus import sample
from llmrec.encoding.store.embedding_store import EmbeddingStore
from llmrec.features import featurize
from llmrec.files import write_parquet
from llmrec.schema import TEXT_KEYS
from llmrec.schema import Column as C
from llmrec.storage import Artifact, Storage

DIM = 384
_ROWS = 4_096  # of a part of `text_keys`, as the encode stage writes them
_BATCH = 20_000


@dataclass
class FeaturizeUsage:
    """Peaks over one run, in bytes."""

    before: int = 0
    driver: int = 0
    worker: int = 0
    cpu: dict[int, float] = field(default_factory=dict)  # seconds by process

    def sample(self, me: psutil.Process) -> None:
        """Look at this process and Ray's workers below it."""
        self.driver = max(self.driver, private_bytes(me))
        self.cpu[me.pid] = sum(me.cpu_times()[:2])
        for process in me.children(recursive=True):
            try:
                if process.cmdline()[:1] and process.cmdline()[0].startswith("ray::"):
                    self.worker = max(self.worker, private_bytes(process))
                    self.cpu[process.pid] = sum(process.cpu_times()[:2])
            except psutil.Error:  # it ended meanwhile
                continue


@contextmanager
def measured() -> Iterator[FeaturizeUsage]:
    """Sample ten times a second."""
    me = psutil.Process()
    usage = FeaturizeUsage(before=private_bytes(me))
    usage.sample(me)
    spent = dict(usage.cpu)
    with sampled(lambda: usage.sample(me)):
        yield usage
    usage.cpu = {pid: seconds - spent.get(pid, 0.0) for pid, seconds in usage.cpu.items()}


def of_size(n: int) -> SampleConfig:
    """n reviews, eight a user and twenty an item."""
    return SampleConfig(n_users=max(n // 8, 50), n_items=max(n // 20, 50), n_reviews=n)


def make_inputs(storage: Storage, size: SampleConfig) -> tuple[Artifact, Artifact]:
    """A corpus of that size, and the artifact `embeddings` over a store of random unit vectors; made once."""
    name = f"u{size.n_users}-i{size.n_items}-n{size.n_reviews}"
    found = storage.find("corpus", name), storage.find("embeddings", name)
    if found[0] and found[1]:
        return found[0], found[1]
    made = sample.generate(size)
    with storage.build("corpus", name, module="llmrec.corpus", config={}, parents={}) as writer:
        writer.write_table("reviews", made.reviews)
        writer.write_table("items", made.items)
    store = EmbeddingStore(storage.root, name)
    with storage.build("embeddings", name, module="llmrec.encoding", config={}, parents={}) as writer:
        ids = [("review", i) for i in made.reviews[C.REVIEW_ID].to_pylist()]
        ids += [("item", i) for i in made.items[C.ITEM_ID].to_pylist()]
        keys = [hashlib.blake2b(f"{kind}/{i}".encode(), digest_size=16).hexdigest() for kind, i in ids]
        for at in range(0, len(ids), _ROWS):
            part = pa.table([*_columns(ids[at : at + _ROWS]), pa.array(keys[at : at + _ROWS])], schema=TEXT_KEYS)
            write_parquet(writer.uri(f"text_keys/{at:09d}.parquet"), part)
        _fill(store, sorted(keys))
        writer.info |= {"fingerprint": name, "storage_dtype": store.dtype, "dim": DIM, "sequence_items": 0}
    return make_inputs(storage, size)


def _columns(ids: list[tuple[str, str]]) -> list[pa.Array]:
    return [pa.array([row[k] for row in ids]) for k in (0, 1)]


def _fill(store: EmbeddingStore, keys: list[str]) -> None:
    rng, width = np.random.default_rng(0), 1 if len(keys) <= 65_536 else 2
    for at in range(0, len(keys), _BATCH):
        some = keys[at : at + _BATCH]
        vectors = rng.standard_normal((len(some), DIM), np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        zeros = np.zeros(len(some), np.int32)
        store.put(some, vectors, zeros, zeros, width)


def run(folder: str, n: int) -> dict[str, Any]:
    """Featurize n reviews: seconds, and mebibytes of driver and largest worker."""
    import ray

    from jobs.cluster import start_local

    storage, config = Storage(folder), RunConfig(storage=folder)
    start_local(max(2, os.cpu_count() or 1), log_to_driver=False, configure_logging=False)
    featurize(config, storage, *make_inputs(storage, of_size(2_000)), "test")  # this process has its libraries then
    inputs = make_inputs(storage, of_size(n))
    with measured() as usage:
        started = time.perf_counter()
        made = featurize(config, storage, *inputs, "test")
        seconds = time.perf_counter() - started
    ray.shutdown()
    if made.reused or made.manifest.counts["rows_out"] != n:
        raise RuntimeError(f"featurize: found {made.manifest.counts} for {n} reviews, expected them made in this run")
    peaks = {"driver_growth": usage.driver - usage.before, "largest_worker": usage.worker}
    times = {"reviews": n, "seconds": round(seconds, 1), "cpu_seconds": round(sum(usage.cpu.values()), 1)}
    return times | {f"{k}_mib": round(v / 2**20) for k, v in peaks.items()}


def main() -> None:
    """Print one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[5_000, 50_000, 200_000])
    parser.add_argument("--folder", help="keep the corpora here, to use them again")
    parser.add_argument("--only", type=int, help=argparse.SUPPRESS)  # one size, in this process
    options = parser.parse_args()
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_worker_niceness", "0")  # Ray's default of 15 would yield to whatever else runs here
    if options.only:
        print(json.dumps(run(options.folder, options.only)))
        return
    sizes = []
    with tempfile.TemporaryDirectory(prefix="llmrec-featurize-") as temporary:
        for n in options.sizes:
            command = [sys.executable, "-m", "benchmarks.featurize_stage", "--only", str(n)]
            command += ["--folder", options.folder or temporary]
            answer = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
            sizes.append(json.loads(answer.strip().splitlines()[-1]))
            print(sizes[-1], flush=True)
    print(json.dumps({"benchmark": "featurize_stage", "sizes": sizes}))


if __name__ == "__main__":
    main()
