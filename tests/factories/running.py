"""`python -m jobs.serve` as a process of its own, with a small bundle."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
from factories.bundles import make_bundle
from factories.load import Load

from jobs.serve import free_port
from llmrec.config import EncoderConfig
from llmrec.encoding import encoder_fingerprint
from llmrec.registry import publish
from llmrec.storage import Storage

HASHING = EncoderConfig(backend="hashing", model="hashing")


@dataclass
class Running:
    """jobs.serve, its address, and what it said on stderr."""

    process: "subprocess.Popen[str]"
    url: str
    said: Path

    def pids(self, title: str = "") -> list[int]:
        """Descendants whose command begins so, `ray::ServeReplica:llmrec:Recommender` for one."""
        return [
            p.pid for p in psutil.Process(self.process.pid).children(recursive=True) if command_of(p).startswith(title)
        ]

    def strike(self, title: str, number: signal.Signals, request: dict[str, str], seconds: float) -> tuple[Load, float]:
        """Send a signal under load; the load's replies, and after how many seconds a new process stood there."""
        (victim,) = self.pids(title)
        with Load(f"{self.url}/v1/recommend", [request], pause_s=0.02) as load:
            load.wait_for(10)
            started = time.monotonic()
            os.kill(victim, number)
            while not [pid for pid in self.pids(title) if pid != victim]:
                assert time.monotonic() - started < 45, f"no new {title}"
                time.sleep(0.1)
            back = time.monotonic() - started
            time.sleep(max(0.0, seconds - back))
        return load, back


def command_of(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


@contextmanager
def running_server(tmp_path: Path) -> Iterator[Running]:
    """It serves until the block ends."""
    storage, port = Storage(str(tmp_path / "artifacts")), free_port("127.0.0.1", 0)
    bundle = make_bundle(storage, "good", dim=256, encoder=HASHING, fingerprint=encoder_fingerprint(HASHING))
    publish(storage, bundle, "demo")
    config, said = tmp_path / "demo.yaml", tmp_path / "stderr"
    config.write_text(f"name: demo\nstorage: {storage.root}\nserving: {{port: {port}, replica_cpus: 0.1}}\n")
    environment = {key: value for key, value in os.environ.items() if key != "RAY_ADDRESS"}
    with said.open("w") as err:
        process = subprocess.Popen(
            [sys.executable, "-m", "jobs.serve", "--config", str(config)],
            stdout=subprocess.PIPE, stderr=err, text=True, env=environment, start_new_session=True,
        )  # fmt: skip
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line, said.read_text()[-3000:]
    try:
        yield Running(process, json.loads(line)["url"], said)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)
