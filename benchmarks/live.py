"""Live events: how soon the next answer knows of them, and what they cost the recommendations beside, paired.

    .venv/bin/python -m benchmarks.live [--storage ROOT] [--seconds S] [--rounds R] [--per-second N] [--batch B]
                                        [--kinds]

In each round recommendations are asked for by one connection, first alone, then beside N events a second in batches of
B; `p50_ratio` is the median over rounds of beside / alone. `lag` is the time from a reply of POST /v1/events until
/v1/model says that answers know of it, asked every 10 ms. `singles`: events posted one by one,
by one connection and by eight, as fast as they are acknowledged. `--kinds`: the corpus has events, the outcome is a
purchase, and events are of every kind that the bundle has features of, one as often as another. The bundle (5,000
reviews of the built-in corpus, short fits) is made where --storage does not hold it.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
import threading
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import yaml

from benchmarks.load import load as load_events
from benchmarks.serve import Server, bundle_uri, load, ours
from llmrec.bundle import Bundle
from llmrec.config import load_config
from llmrec.storage import Storage

SETTINGS: dict[str, Any] = {
    "name": "live",
    "corpus": {"sample": {"n_users": 500, "n_items": 250, "n_reviews": 5000, "skew": 1.0}},
    "encoding": {"encoder": {"backend": "tfidf_svd", "dimension": 64}},
    "training": {"retrievers": {"two_tower": {"epochs": 1}}, "ranker": {"name": "dcnv2", "epochs": 1}},
    "serving": {"live": {"enabled": True}},
}  # fmt: skip
KINDS: dict[str, Any] = {
    "name": "live_kinds",
    "corpus": {"sample": SETTINGS["corpus"]["sample"] | {"events": True}, "outcome": "purchase"},
}


@dataclass
class Stream:
    """While the block runs, `per_second` events come in batches of `batch`; `lags` (s) are measured of each batch."""

    url: str
    crowd: "Crowd"
    per_second: float
    batch: int
    lags: list[float] = field(default_factory=list)
    sent: int = 0
    seconds: float = 0.0
    _ended: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> "Stream":
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        rng, started = np.random.default_rng(), time.perf_counter()
        with httpx.Client(timeout=30) as client:
            while not self._ended.is_set():
                due = started + self.sent / self.per_second
                time.sleep(max(0.0, due - time.perf_counter()))
                events = [self.crowd.event(rng) for _ in range(self.batch)]
                answer = client.post(f"{self.url}/v1/events", json={"events": events}).raise_for_status().json()
                self.sent += self.batch
                self.lags.append(self._lag(client, answer["sequence"]))
        self.seconds = time.perf_counter() - started

    def _lag(self, client: httpx.Client, sequence: int) -> float:
        replied = time.perf_counter()
        while client.get(f"{self.url}/v1/model").json()["live"]["sequence"] < sequence:
            time.sleep(0.01)
        return time.perf_counter() - replied


@dataclass(frozen=True)
class Crowd:
    """Who may do something, and what; `kinds`: none where all is reviews."""

    users: list[str]
    items: list[str]
    kinds: tuple[str, ...]

    @classmethod
    def of(cls, bundle: Bundle, kinds: bool) -> "Crowd":
        history = bundle.history
        return cls(list(history.user_ids[1:]), list(history.item_ids[1:]), history.further.kinds if kinds else ())

    def event(self, rng: np.random.Generator) -> dict[str, Any]:
        """What somebody does now."""
        user, item = self.users[int(rng.integers(len(self.users)))], self.items[int(rng.integers(len(self.items)))]
        value = (
            {"kind": str(rng.choice(self.kinds)), "value": 20.0} if self.kinds else {"stars": int(rng.integers(1, 6))}
        )
        return {"event_id": uuid.uuid4().hex, "user_id": user, "item_id": item, **value}


def measure(server: Server, bundle: Bundle, args: argparse.Namespace) -> dict[str, Any]:
    """The rounds."""
    crowd = Crowd.of(bundle, args.kinds)
    bodies = [{"user_id": user} for user in crowd.users]
    load(server, 1, 3.0, bodies)  # warm
    alone, beside, lags, rates = list[float](), list[float](), list[float](), list[float]()
    for _ in range(args.rounds):
        alone.append(load(server, 1, args.seconds, bodies)["p50_ms"])
        with Stream(server.url, crowd, args.per_second, args.batch) as stream:
            beside.append(load(server, 1, args.seconds, bodies)["p50_ms"])
        lags += stream.lags
        rates.append(stream.sent / stream.seconds)
    return {
        "events_per_s": statistics.median(rates), "lag_p50_s": float(np.percentile(lags, 50)),
        "lag_p99_s": float(np.percentile(lags, 99)), "batches": len(lags), "alone_p50_ms": statistics.median(alone),
        "beside_p50_ms": statistics.median(beside),
        "p50_ratio": statistics.median(b / a for a, b in zip(alone, beside, strict=True)),
    }  # fmt: skip


def singles(server: Server, crowd: Crowd, connections: int, seconds: float) -> dict[str, float]:
    """Single posts a second, each acknowledged before the connection sends its next."""
    import asyncio

    rng = np.random.default_rng()
    bodies: list[dict[str, object]] = [crowd.event(rng) for _ in range(int(seconds * 2_000))]
    found = asyncio.run(load_events(f"{server.url}/v1/events", connections, seconds, bodies))
    if found["failed"]:
        raise RuntimeError(f"{found['failed']} of {found['requests']} events were refused")
    return found


def main() -> None:
    """Run the benchmark; the last line is JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--storage", help="artifacts to use or to make; a temporary folder by default")
    parser.add_argument("--seconds", type=float, default=10.0, help="of each measurement")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--per-second", type=float, default=200.0)
    parser.add_argument("--batch", type=int, default=20)
    parser.add_argument("--kinds", action="store_true", help="events of every kind, not reviews alone")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        storage, path = Storage(args.storage or folder), Path(folder) / "live.yaml"
        path.write_text(yaml.safe_dump((SETTINGS | KINDS if args.kinds else SETTINGS) | {"storage": storage.root}))
        bundle = Bundle.load(bundle_uri(load_config(path), storage))
        before = os.getloadavg()[0]
        with ours(str(path), storage, "fused") as server:
            found = measure(server, bundle, args)
            one, many = (singles(server, Crowd.of(bundle, args.kinds), n, args.seconds) for n in (1, 8))
            state = httpx.get(f"{server.url}/v1/model").json()["live"]
    found |= {"singles_per_s": one["per_s"], "single_p50_ms": one["p50_ms"], "singles_of_8_per_s": many["per_s"]}
    found = {name: round(value, 4) for name, value in found.items()}
    print(f"{found} {state}", file=sys.stderr, flush=True)
    told = {"benchmark": "live", "cores": os.cpu_count(), "load_before": before, "rounds": args.rounds}
    print(json.dumps(told | found | {"live": state}, separators=(",", ":")), flush=True)


if __name__ == "__main__":
    main()
