"""The Ray Serve application against a single-process FastAPI + torch server with the same Recommender, paired.

    .venv/bin/python -m benchmarks.serve [--config FILE] [--storage ROOT] [--seconds S] [--rounds R]

Both run on this machine, one after the other under load in every round, the other idle; the load comes from a third
process. A figure is the median over rounds, a ratio the median over rounds of ours / rival's (above 1 is better for
requests a second, below 1 for latencies). The bundle is made by the pipeline where --storage does not hold it.
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
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from llmrec.bundle import Bundle
from llmrec.config import RunConfig, load_config
from llmrec.pipeline import run_pipeline
from llmrec.registry import current, publish
from llmrec.storage import Storage

REPOSITORY = Path(__file__).resolve().parent.parent
CONNECTIONS = (1, 16)
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


@contextmanager
def ours(config_file: str, storage: Storage) -> Iterator[str]:
    """URL of the Serve application."""
    with process(["jobs.serve", "--config", config_file, f"storage={storage.root}", "--port", "0"]) as server:
        assert server.stdout is not None
        line = server.stdout.readline()
        if not line.startswith("{") or not json.loads(line).get("ok"):
            raise RuntimeError(f"jobs.serve did not start: {line or 'it printed nothing'}")
        yield json.loads(line)["url"]


@contextmanager
def rival(uri: str, retrieve: int) -> Iterator[str]:
    """URL of the single-process server."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with process(["benchmarks.serve_rival", uri, str(retrieve), str(port)]):
        url, deadline = f"http://127.0.0.1:{port}", time.monotonic() + 60
        while True:
            try:
                httpx.get(f"{url}/openapi.json")
                break
            except httpx.TransportError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.2)
        yield url


def load(url: str, connections: int, seconds: float, bodies: list[dict[str, Any]]) -> dict[str, float]:
    """One measurement, from a process of its own."""
    order = {"url": f"{url}/v1/recommend", "connections": connections, "duration_s": seconds, "bodies": bodies}
    command = [sys.executable, "-m", "benchmarks.load"]
    done = subprocess.run(command, cwd=REPOSITORY, input=json.dumps(order), capture_output=True, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout)
    if found["failed"]:
        raise RuntimeError(f"{url}: {found['failed']:.0f} of {found['requests']:.0f} requests failed")
    return found


def measure(urls: dict[str, str], bodies: dict[str, list[dict[str, Any]]], args: argparse.Namespace) -> dict[str, Any]:
    """Per kind of request and number of connections: both servers' figures and their ratios."""
    for url in urls.values():
        for asked in bodies.values():
            load(url, 4, 2, asked)  # warm up
    table = {}
    for kind, asked in bodies.items():
        for connections in CONNECTIONS:
            rounds = [
                {name: load(url, connections, args.seconds, asked) for name, url in urls.items()}
                for _ in range(args.rounds)
            ]
            table[f"{kind}, {connections} at once"] = _summary(rounds)
    return table


def _summary(rounds: list[dict[str, dict[str, float]]]) -> dict[str, Any]:
    keys = ("per_s", "p50_ms", "p99_ms")
    summary: dict[str, Any] = {
        name: {key: round(statistics.median(r[name][key] for r in rounds), 1) for key in keys} for name in rounds[0]
    }
    ratios = {key: statistics.median(r["ours"][key] / r["rival"][key] for r in rounds) for key in keys}
    return summary | {"ratio": {key: round(value, 2) for key, value in ratios.items()}}


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main() -> None:
    """Run the benchmark; the last line is JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", default="configs/quickstart.yaml")
    parser.add_argument("--storage", help="artifacts to use or to make; a temporary folder by default")
    parser.add_argument("--seconds", type=float, default=6.0, help="of each measurement")
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        storage = Storage(args.storage or folder)
        config = load_config(args.config)
        uri = bundle_uri(config, storage)
        known = Bundle.load(uri).history.user_ids[1:65]
        bodies = {"known user": [{"user_id": u} for u in known], "newcomer's text": [{"text": t} for t in WISHES]}
        with rival(uri, config.serving.retrieve) as theirs, ours(args.config, storage) as mine:
            table = measure({"ours": mine, "rival": theirs}, bodies, args)
    for name, row in table.items():
        _say(f"{name}: {row}")
    answer = {"benchmark": "serve", "cores": os.cpu_count(), "rounds": args.rounds, "results": table}
    print(json.dumps(answer, separators=(",", ":")), flush=True)


if __name__ == "__main__":
    main()
