"""As-of profiles over Ray against vectorised pandas: Parquet to Parquet, 64 dimensions, equal output checked.

    python -m benchmarks.featurize [--events 1000000] [--large 10000000] [--pairs 3]

`ratio_vs_pandas`: seconds of pandas / our seconds at --events (above 1: we are faster), the median of paired runs;
starting Ray and its workers is left out on both sides. `peak_mib_10m`: memory of our whole process tree at --large
events (proportional set sizes summed, so that shared pages count once). --large 0 leaves that part out.
"""

import argparse
import gc
import json
import os
import shutil
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
import pyarrow as pa
import pyarrow.parquet as pq

from llmrec.features.asof.profiles import COUNT, EVENT, MEAN_STARS, PROFILE, profile_schema, vectors_of
from llmrec.schema import DAY_MS
from llmrec.schema import Column as C

DIM = 64
SIDES = (C.USER_ID, C.ITEM_ID)
_ROW_GROUP, _FILE = 50_000, 500_000


def make_events(folder: Path, n: int, seed: int = 0) -> list[str]:
    """Reviews with power-law users and items over five years of whole days, so that many times tie."""
    rng, files = np.random.default_rng(seed), []
    for start in range(0, n, _FILE):
        size = min(_FILE, n - start)
        users, items = rng.zipf(1.4, size) % (n // 8 + 1), rng.zipf(1.3, size) % (n // 20 + 1)
        vectors = rng.normal(size=size * DIM).astype(np.float32)
        table = pa.table(
            {
                EVENT: np.arange(start, start + size),
                C.USER_ID: [f"u{u}" for u in users.tolist()],
                C.ITEM_ID: [f"i{i}" for i in items.tolist()],
                C.TIMESTAMP: rng.integers(0, 1_800, size) * DAY_MS,
                C.STARS: rng.integers(1, 6, size).astype(np.float32),
                C.VECTOR: pa.FixedSizeListArray.from_arrays(pa.array(vectors), DIM),
            }
        )
        files.append(str(folder / f"events-{start:09d}.parquet"))
        pq.write_table(table, files[-1], row_group_size=_ROW_GROUP, compression="none", use_dictionary=False)
    return files


def rival(inputs: list[str], output: Path) -> None:
    """What a good engineer writes in pandas: sort, group, cumulative sums, the first of equal times."""
    events = pa.concat_tables([pq.read_table(f) for f in inputs])
    vectors = vectors_of(events[C.VECTOR])
    frame = events.drop_columns([C.VECTOR]).to_pandas()
    for side in SIDES:
        entity = pd.factorize(frame[side])[0]
        order = np.lexsort((frame[C.TIMESTAMP], entity))
        codes, times = entity[order], frame[C.TIMESTAMP].to_numpy()[order]
        values = pd.DataFrame(vectors[order].astype(np.float64))
        values[MEAN_STARS] = frame[C.STARS].to_numpy()[order].astype(np.float64)
        values[COUNT] = 1.0
        before = (values.groupby(codes, sort=False).cumsum() - values).to_numpy()
        new = np.ones(len(order), bool)
        new[1:] = (codes[1:] != codes[:-1]) | (times[1:] != times[:-1])
        before = before[np.flatnonzero(new)[np.cumsum(new) - 1]]
        mean = before[:, :-1] / np.maximum(before[:, -1:], 1)
        table = pa.table(
            {
                EVENT: frame[EVENT].to_numpy()[order],
                COUNT: before[:, -1].astype(np.int64),
                MEAN_STARS: mean[:, -1].astype(np.float32),
                PROFILE: pa.FixedSizeListArray.from_arrays(pa.array(mean[:, :-1].astype(np.float32).ravel()), DIM),
            },
            schema=profile_schema(DIM),
        )
        (output / side).mkdir(parents=True)
        path = output / side / "part-00000.parquet"
        pq.write_table(table, path, compression="none", use_dictionary=False, write_statistics=False)


def ours(inputs: list[str], output: Path) -> None:
    """The product's way."""
    from llmrec.features.build.profile_export import as_of_profiles

    as_of_profiles(inputs, str(output), str(output / "scratch"), SIDES)
    shutil.rmtree(output / "scratch")


def check_equal(a: Path, b: Path) -> float:
    """Largest difference of the two outputs. Raises RuntimeError where they are not the same table."""
    largest = 0.0
    for side in SIDES:
        tables = [pq.read_table(folder / side).sort_by(EVENT) for folder in (a, b)]
        if not all(tables[0][name].equals(tables[1][name]) for name in (EVENT, COUNT)):
            raise RuntimeError(f"featurize: the outputs for {side} differ in their events or counts")
        stars = [t[MEAN_STARS].to_numpy() for t in tables]
        vectors = [vectors_of(t[PROFILE]) for t in tables]
        largest = max(largest, float(abs(stars[0] - stars[1]).max()), float(abs(vectors[0] - vectors[1]).max()))
    if largest > 1e-5:
        raise RuntimeError(f"featurize: the outputs differ by {largest}, expected at most 1e-5")
    return largest


def seconds(work: Callable[[list[str], Path], None], inputs: list[str], output: Path) -> float:
    shutil.rmtree(output, ignore_errors=True)
    start = time.perf_counter()
    work(inputs, output)
    return time.perf_counter() - start


class TreePeak:
    """Peak memory of this process and all below it, sampled five times a second; MiB."""

    def __init__(self) -> None:
        self.mib, self._stop = 0.0, threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> "TreePeak":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stop.wait(0.2):
            self.mib = max(self.mib, _tree_mib())


def _tree_mib() -> float:
    own, total = psutil.Process(), 0
    for process in [own, *own.children(recursive=True)]:
        try:
            total += process.memory_full_info().pss
        except psutil.Error:  # it ended meanwhile
            continue
    return total / 2**20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--large", type=int, default=10_000_000)
    parser.add_argument("--pairs", type=int, default=3)
    options = parser.parse_args()
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_worker_niceness", "0")  # Ray's default of 15 would yield to whatever else runs here
    import ray

    ray.init(address="local", include_dashboard=False, log_to_driver=False, object_store_memory=200 * 2**20)
    with tempfile.TemporaryDirectory(prefix="llmrec-featurize-") as name:
        result = measure(Path(name), options)
    ray.shutdown()
    print(json.dumps(result))


def measure(root: Path, options: argparse.Namespace) -> dict[str, object]:
    """Paired runs at one size, then our run at the large one."""
    folder = root / "events"
    folder.mkdir()
    warm = make_events(folder, 2_000)
    seconds(ours, warm, root / "warm")
    inputs = make_events(folder, options.events)
    pairs = [
        (seconds(rival, inputs, root / "rival"), seconds(ours, inputs, root / "ours")) for _ in range(options.pairs)
    ]
    difference = check_equal(root / "rival", root / "ours")
    for theirs, mine in pairs:
        print(f"{options.events} events: pandas {theirs:.1f} s, llmrec {mine:.1f} s", flush=True)
    result: dict[str, object] = {
        "benchmark": "featurize",
        "events": options.events,
        "ratio_vs_pandas": round(statistics.median(theirs / mine for theirs, mine in pairs), 2),
        "largest_difference": difference,
    }
    if not options.large:
        return result
    for used in (folder, root / "rival", root / "ours"):
        shutil.rmtree(used)
    folder.mkdir()
    gc.collect()
    pa.default_memory_pool().release_unused()  # what the rival held is not ours
    large = make_events(folder, options.large)
    with TreePeak() as peak:
        taken = seconds(ours, large, root / "large")
    print(f"{options.large} events: {taken:.1f} s, peak {peak.mib:.0f} MiB", flush=True)
    return result | {"large_events": options.large, "large_seconds": round(taken, 1), "peak_mib_10m": round(peak.mib)}


if __name__ == "__main__":
    main()
