"""`python -m jobs.serve` as a process: what it prints and where it listens, what killed and frozen parts cost, its end.

On loopback only, bounded in requests and time.
"""

import json
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest
from factories.load import Load
from factories.running import Running, command_of, running_server

KNOWN, NEWCOMER = {"user_id": "u1"}, {"text": "a drum"}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Running]:
    with running_server(tmp_path) as running:
        yield running


#: Who is struck how, with which request going on, for how many seconds, and how long an answer may take then. Nobody
#: fails but within the last number of seconds: connections to the one proxy, and what was inside the one ingress, are
#: lost with it.
STRIKES = (
    ("ray::ServeReplica:llmrec:Recommender", signal.SIGSTOP, KNOWN, 14, 20, 0),
    ("ray::ServeReplica:llmrec:Encoder", signal.SIGSTOP, NEWCOMER, 10, 4, 0),
    ("ray::ServeReplica:llmrec:Encoder", signal.SIGKILL, NEWCOMER, 8, 4, 0),
    ("ray::ServeReplica:llmrec:Recommender", signal.SIGKILL, KNOWN, 8, 20, 0),
    ("ray::ServeReplica:llmrec:Ingress", signal.SIGKILL, KNOWN, 12, 30, 14),
    ("ray::ServeReplica:llmrec:Ingress", signal.SIGSTOP, KNOWN, 16, 30, 14),
    ("ray::ProxyActor", signal.SIGKILL, KNOWN, 12, 30, 14),  # 23 to 30 s by Ray's own settings
    ("ray::ProxyActor", signal.SIGSTOP, KNOWN, 30, 30, 30),
)


def test_killed_and_frozen_parts_cost_no_answer_and_ingress_and_proxy_a_gap(server: Running) -> None:
    figures = []
    for title, number, request, seconds, most, gap in STRIKES:
        load, back = server.strike(title, number, request, seconds)
        failed = [reply.sent for reply in load.replies if reply.status != 200]
        figures.append({
            "part": title.rsplit(":", 1)[1], "signal": number.name, "replies": len(load.replies), "failed": len(failed),
            "gap_s": round(max(failed) - min(failed), 1) if failed else 0.0,
            "longest_s": round(max(reply.seconds for reply in load.replies), 1), "replaced_s": round(back, 1),
        })  # fmt: skip
        print(json.dumps(figures[-1]), flush=True)
        assert load.replies[-1].status == 200, figures
        assert figures[-1]["longest_s"] < most and (gap or not failed), figures
        assert figures[-1]["gap_s"] <= gap, figures


def test_it_listens_on_loopback_prints_one_block_and_ends_what_it_began(server: Running) -> None:
    block = server.said.read_text()
    for part in ("llmrec serves demo", server.url, "keys     none", "bundle   good", "curl -s", "Ctrl-C"):
        assert part in block
    outside = [
        (pid, connection.laddr)
        for pid in [server.process.pid, *server.pids()]
        for connection in psutil.Process(pid).net_connections(kind="inet")
        if connection.status == "LISTEN" and connection.laddr.ip not in ("127.0.0.1", "::1", "::ffff:127.0.0.1")
        if not command_of(psutil.Process(pid)).startswith(
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
    assert not alive, [command_of(process) for process in alive]
