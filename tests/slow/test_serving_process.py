"""`python -m jobs.serve` as a process: what it prints and where it listens, what killed and frozen parts cost, its end.

On loopback only, bounded in requests and time.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil
import pytest
from factories.bundles import make_bundle
from factories.load import Load

from jobs.serve import free_port
from llmrec.config import EncoderConfig
from llmrec.encoding import encoder_fingerprint
from llmrec.registry import publish
from llmrec.storage import Storage

pytestmark = pytest.mark.slow
HASHING = EncoderConfig(backend="hashing", model="hashing")
KNOWN, NEWCOMER = {"user_id": "u1"}, {"text": "a drum"}


@dataclass
class Running:
    """jobs.serve, its address, and what it said on stderr."""

    process: "subprocess.Popen[str]"
    url: str
    said: Path

    def pids(self, title: str = "") -> list[int]:
        """Descendants whose command begins so, `ray::ServeReplica:llmrec:Recommender` for one."""
        return [
            p.pid for p in psutil.Process(self.process.pid).children(recursive=True) if _command(p).startswith(title)
        ]

    def strike(self, title: str, number: signal.Signals, request: dict[str, str], seconds: float) -> tuple[Load, float]:
        """Send a signal under load; the load's replies, and after how many seconds a new process stood there."""
        (victim,) = self.pids(title)
        with Load(f"{self.url}/v1/recommend", [request], pause_s=0.02) as load:
            load.wait_for(10)
            started = time.monotonic()
            os.kill(victim, number)
            while not [pid for pid in self.pids(title) if pid != victim]:
                assert time.monotonic() - started < 30, f"no new {title}"
                time.sleep(0.1)
            back = time.monotonic() - started
            time.sleep(max(0.0, seconds - back))
        return load, back


def _command(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Running]:
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


def test_killed_and_frozen_parts_cost_no_answer_and_only_the_proxy_a_gap(server: Running) -> None:
    figures = {}
    for title, number, request, seconds in (
        ("ray::ServeReplica:llmrec:Recommender", signal.SIGSTOP, KNOWN, 14),
        ("ray::ServeReplica:llmrec:Encoder", signal.SIGSTOP, NEWCOMER, 10),
        ("ray::ServeReplica:llmrec:Encoder", signal.SIGKILL, NEWCOMER, 8),
        ("ray::ServeReplica:llmrec:Recommender", signal.SIGKILL, KNOWN, 8),
    ):
        load, back = server.strike(title, number, request, seconds)
        longest = max(reply.seconds for reply in load.replies)
        figures[f"{title.rsplit(':', 1)[1]} {number.name}"] = (round(back, 1), round(longest, 1))
        assert {reply.status for reply in load.replies} == {200}, figures
        assert longest < (4 if request == NEWCOMER else 20), figures
    load, back = server.strike("ray::ProxyActor", signal.SIGKILL, KNOWN, 12)
    print(figures, "proxy", round(back, 1))
    assert {reply.status for reply in load.replies} <= {0, 200}
    assert [reply.status for reply in load.replies][-1] == 200
    failed = [reply.sent for reply in load.replies if reply.status == 0]
    assert max(failed) - min(failed) < 12  # 23 to 30 s by Ray's own settings


def test_it_listens_on_loopback_prints_one_block_and_ends_what_it_began(server: Running) -> None:
    block = server.said.read_text()
    for part in ("llmrec serves demo", server.url, "keys     none", "bundle   good", "curl -s", "Ctrl-C"):
        assert part in block
    outside = [
        (pid, connection.laddr)
        for pid in [server.process.pid, *server.pids()]
        for connection in psutil.Process(pid).net_connections(kind="inet")
        if connection.status == "LISTEN" and connection.laddr.ip not in ("127.0.0.1", "::1", "::ffff:127.0.0.1")
        if not _command(psutil.Process(pid)).startswith(
            "ray::ServeReplica"
        )  # Serve binds these; they ask for the token
    ]
    assert not outside
    for sent in ("a forged line", "x" * 300):
        echoed = httpx.get(f"{server.url}/healthz", headers={"x-request-id": sent}).headers["x-request-id"]
        assert sent not in echoed
    with Load(f"{server.url}/v1/recommend", [KNOWN], clients=4) as load:
        load.wait_for(20)
        told = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        server.process.wait(60)
    assert server.process.returncode == 0 and "error:" not in server.said.read_text()
    assert "0 requests were cut off" in server.said.read_text()
    assert {reply.status for reply in load.replies if reply.sent < told} == {200}
    assert {reply.status for reply in load.replies} <= {0, 200, 503}  # what came later is refused or finds nobody


def test_sigkill_leaves_no_process_behind(server: Running) -> None:
    family = [psutil.Process(pid) for pid in server.pids()]
    time.sleep(2)
    server.process.kill()
    server.process.wait()
    _, alive = psutil.wait_procs(family, timeout=10)
    assert not alive, [_command(process) for process in alive]
