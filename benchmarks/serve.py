"""The Ray Serve application against a single FastAPI + torch process with the same Recommender and caches, paired.

    .venv/bin/python -m benchmarks.serve [--config FILE] [--storage ROOT] [--layout fused] [--seconds S] [--rounds R]

Both run on this machine, one after the other under load in every round, the other idle; the load comes from a third
process. `known user`: distinct users, each asked once, so that no state of a user is remembered; `known user, again`:
the same ones. A figure is the median over rounds, a ratio the median over rounds of ours / single (above 1 is better
for requests a second, below 1 for latencies). CPU is that of Serve's proxy and replicas, and of the single process. The
bundle is made by the pipeline where --storage does not hold it.
"""

import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil

from llmrec.bundle import Bundle
from llmrec.config import RunConfig, load_config
from llmrec.pipeline import run_pipeline
from llmrec.registry import current, publish
from llmrec.storage import Storage

REPOSITORY = Path(__file__).resolve().parent.parent
CONNECTIONS = (1, 4, 16)
Body = dict[str, Any]
WISHES = (
    "strings for my violin that sound warm", "a sturdy stand for the stage", "something for a beginner",
    "einen leisen Verstärker für zu Hause", "cheap cables that do not break", "a gift for a drummer",
)  # fmt: skip


def bundle_uri(config: RunConfig, storage: Storage) -> str:
    """The published bundle, made first where there is none."""
    try:
        return str(current(storage, config.name)["uri"])
    except FileNotFoundError:
        from jobs.cluster import connect

        connect(storage)
        run = run_pipeline(config, storage, lambda stage, _, seconds: _say(f"{stage}: {seconds:.0f} s"), until="train")
        import ray

        ray.shutdown()
        return str(publish(storage, run.artifacts["bundle.text"], config.name)["uri"])


@contextmanager
def process(arguments: list[str]) -> Iterator[subprocess.Popen[str]]:
    """A Python module as a process that ends with the block."""
    started = subprocess.Popen(
        [sys.executable, "-m", *arguments], cwd=REPOSITORY, stdout=subprocess.PIPE, text=True,
        env=os.environ | {"HF_HUB_OFFLINE": "1"},
    )  # fmt: skip
    try:
        yield started
    finally:
        started.terminate() if arguments[0] != "jobs.serve" else started.send_signal(2)
        started.wait(timeout=60)


@dataclass(frozen=True)
class Server:
    """A running server: its URL, its process, and which of that one's family work for requests."""

    url: str
    pid: int
    workers: tuple[str, ...] = ("",)

    def cpu_seconds(self) -> float:
        """User and system time of the workers so far."""
        root, total = psutil.Process(self.pid), 0.0
        for process in (root, *root.children(recursive=True)):
            with suppress(psutil.Error):  # some end meanwhile
                if " ".join(process.cmdline()).startswith(self.workers):
                    times = process.cpu_times()
                    total += times.user + times.system
        return total


@contextmanager
def ours(config_file: str, storage: Storage, layout: str) -> Iterator[Server]:
    """The Serve application."""
    options = [f"storage={storage.root}", f"serving.layout={layout}", "--port", "0"]
    with process(["jobs.serve", "--config", config_file, *options]) as server:
        assert server.stdout is not None
        line = server.stdout.readline()
        if not line.startswith("{") or not json.loads(line).get("ok"):
            raise RuntimeError(f"jobs.serve did not start: {line or 'it printed nothing'}")
        yield Server(json.loads(line)["url"], server.pid, ("ray::ServeReplica", "ray::ProxyActor"))


@contextmanager
def single(uri: str, retrieve: int) -> Iterator[Server]:
    """The single-process server."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with process(["benchmarks.serve_rival", uri, str(retrieve), str(port)]) as started:
        url, deadline = f"http://127.0.0.1:{port}", time.monotonic() + 60
        while True:
            try:
                httpx.get(f"{url}/openapi.json")
                break
            except httpx.TransportError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.2)
        yield Server(url, started.pid)


def load(server: Server, connections: int, seconds: float, bodies: list[Body], once: bool = False) -> dict[str, float]:
    """One measurement, from a process of its own; `cpu_ms` a request."""
    order = {"url": f"{server.url}/v1/recommend", "connections": connections, "duration_s": seconds, "bodies": bodies}
    command, before = [sys.executable, "-m", "benchmarks.load"], server.cpu_seconds()
    text = json.dumps(order | {"once": once})
    done = subprocess.run(command, cwd=REPOSITORY, input=text, capture_output=True, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout)
    if found["failed"]:
        raise RuntimeError(f"{server.url}: {found['failed']:.0f} of {found['requests']:.0f} requests failed")
    return found | {"cpu_ms": 1000 * (server.cpu_seconds() - before) / found["requests"]}


def measure(servers: dict[str, Server], known: list[str], seconds: float, rounds: int) -> dict[str, Any]:
    """Per kind of request and number of connections: both servers' figures and their ratios."""
    words: list[Body] = [{"text": wish} for wish in WISHES]
    parts = np.array_split(np.array(known, object), 1 + rounds * len(CONNECTIONS))
    bodies: list[list[Body]] = [[{"user_id": str(user)} for user in part] for part in parts]
    for server in servers.values():
        load(server, 4, 2, bodies[0])  # warm up, with users who are not asked for again
        load(server, 4, 2, words)
    table = {}
    for place, connections in enumerate(CONNECTIONS):
        mine = bodies[1 + place * rounds : 1 + (place + 1) * rounds]
        for kind, asked, once in (("known user", mine, True), ("known user, again", mine, False),
                                  ("newcomer's text", [words] * rounds, False)):  # fmt: skip
            found = [{n: load(s, connections, seconds, some, once) for n, s in servers.items()} for some in asked]
            table[f"{kind}, {connections} at once"] = _summary(found)
    return table


def _summary(rounds: list[dict[str, dict[str, float]]]) -> dict[str, Any]:
    keys = ("per_s", "p50_ms", "p99_ms", "cpu_ms")
    summary: dict[str, Any] = {
        name: {key: round(statistics.median(r[name][key] for r in rounds), 1) for key in keys} for name in rounds[0]
    }
    ratios = {key: statistics.median(r["ours"][key] / r["single"][key] for r in rounds) for key in keys}
    return summary | {"ratio": {key: round(value, 2) for key, value in ratios.items()}}


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main() -> None:
    """Run the benchmark; the last line is JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", default="configs/quickstart.yaml")
    parser.add_argument("--storage", help="artifacts to use or to make; a temporary folder by default")
    parser.add_argument("--layout", default="fused", choices=("fused", "composed"))
    parser.add_argument("--seconds", type=float, default=6.0, help="of each measurement")
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        storage = Storage(args.storage or folder)
        config = load_config(args.config)
        uri = bundle_uri(config, storage)
        known = Bundle.load(uri).history.user_ids[1:]
        with single(uri, config.serving.retrieve) as theirs, ours(args.config, storage, args.layout) as mine:
            table = measure({"ours": mine, "single": theirs}, list(known), args.seconds, args.rounds)
    for name, row in table.items():
        _say(f"{name}: {row}")
    print(json.dumps(_last_line(table, args), separators=(",", ":")), flush=True)


def _last_line(table: dict[str, Any], args: argparse.Namespace) -> dict[str, Any]:
    one, many = table["known user, 1 at once"], table["known user, 16 at once"]
    return {
        "benchmark": "serve", "layout": args.layout, "cores": os.cpu_count(), "rounds": args.rounds,
        "p50_ratio_vs_single": one["ratio"]["p50_ms"], "rps_ratio_vs_single": many["ratio"]["per_s"],
        "cpu_ms": one["ours"]["cpu_ms"], "single_cpu_ms": one["single"]["cpu_ms"], "results": table,
    }  # fmt: skip


if __name__ == "__main__":
    main()
