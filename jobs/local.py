"""A private local cluster for the demo and the tests: its own ports, token authentication on, stopped at the end."""

import os
import re
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx

#: What `ray job submit` logs about itself (uploads, next steps), as opposed to what the job says.
RAYS_OWN_LINE = re.compile(
    r"\d{4}-\d\d-\d\d \S+\s+(INFO|SUCC|WARNING) (cli|packaging|dashboard_sdk|working_dir|sdk|job_manager)\.py"
)


@dataclass(frozen=True)
class LocalCluster:
    """Addresses of the cluster, its Jobs API and the agent that starts jobs; what clients need in their environment."""

    address: str
    dashboard: str
    agent: str
    environment: dict[str, str]

    def submit(self, *entrypoint: str, working_dir: str = ".") -> list[str]:
        """`ray job submit`: the job's log lines, also passed on to stderr while it works. RuntimeError on failure."""
        command = [_ray(), "job", "submit", "--log-style=record", "--log-color=false", "--address", self.dashboard,
                   "--working-dir", working_dir, "--", *entrypoint]  # fmt: skip
        lines = []
        with subprocess.Popen(
            command, env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as process:
            assert process.stdout is not None
            for line in process.stdout:
                if RAYS_OWN_LINE.match(line):
                    continue
                lines.append(line.rstrip("\n"))
                print(line, end="", file=sys.stderr, flush=True)
        if process.returncode:
            raise RuntimeError(f"the job {' '.join(entrypoint)} failed, see its log above")
        return lines


def free_port() -> int:
    """A TCP port on loopback that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def local_cluster(
    num_cpus: int, *options: str, timeout_s: float = 90, joinable: bool = False
) -> Iterator[LocalCluster]:
    """`ray start --head` on free ports with a token of its own; every process of it ends with the block.

    `options`: further ones of `ray start`, such as `--num-gpus=1`; `joinable`: other nodes may join, so that its ports
    are not on loopback alone.
    """
    ports = {name: free_port() for name in ("port", "dashboard-port", "ray-client-server-port",
                                            "dashboard-agent-listen-port", "dashboard-agent-grpc-port")}  # fmt: skip
    bin_folder = str(Path(sys.executable).parent)
    environment = os.environ | {
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": secrets.token_hex(32),
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": str(
            int(joinable)
        ),  # 0: every port on loopback, see jobs.cluster.keep_local
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_worker_niceness": "0",  # Ray's default, 15, lets anything else on the machine go first
        "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
        "PATH": f"{bin_folder}{os.pathsep}{os.environ.get('PATH', '')}",
    }
    environment.pop("RAY_ADDRESS", None)
    command = [_ray(), "start", "--head", "--block", "--node-ip-address=127.0.0.1", "--dashboard-host=127.0.0.1",
               f"--num-cpus={num_cpus}", *(f"--{name}={port}" for name, port in ports.items()), *options]  # fmt: skip
    log = Path(os.environ.get("TMPDIR", "/tmp")) / f"llmrec-ray-{ports['port']}.log"
    dashboard, agent = (f"http://127.0.0.1:{ports[name]}" for name in ("dashboard-port", "dashboard-agent-listen-port"))
    cluster = LocalCluster(f"127.0.0.1:{ports['port']}", dashboard, agent, environment)
    head = _started(cluster, command, log, timeout_s)
    try:
        yield cluster
    finally:
        _stop(head)
        log.unlink(missing_ok=True)


def _started(
    cluster: LocalCluster, command: list[str], log: Path, timeout_s: float, tries: int = 3
) -> "subprocess.Popen[bytes]":
    """The head of a cluster that answers; started again where its node outlasts Ray's fixed 30 s."""
    while True:
        tries -= 1
        with log.open("w") as out:
            head = subprocess.Popen(command, env=cluster.environment, stdout=out, stderr=out, start_new_session=True)
        try:
            _wait(cluster, head, log, timeout_s)
            return head
        except BaseException as error:
            _stop(head)
            if not (tries and isinstance(error, RuntimeError) and "timed out during startup" in str(error)):
                raise


def _wait(cluster: LocalCluster, head: "subprocess.Popen[bytes]", log: Path, timeout_s: float) -> None:
    """Until the Jobs API answers and the agent listens, for which a job that is submitted waits 10 s only."""
    headers = {"Authorization": f"Bearer {cluster.environment['RAY_AUTH_TOKEN']}"}
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if head.poll() is not None:
            raise RuntimeError(f"ray start ended with {head.returncode}:\n{log.read_text()[-2000:]}")
        try:
            jobs = httpx.get(f"{cluster.dashboard}/api/jobs/", headers=headers, timeout=2)
            agent = httpx.get(f"{cluster.agent}/api/healthz", headers=headers, timeout=2)
            if jobs.status_code == 200 and agent.status_code < 500:
                return
        except httpx.HTTPError:
            pass
        time.sleep(0.5)
    where = f"no Jobs API at {cluster.dashboard} or no agent at {cluster.agent}"
    raise RuntimeError(f"ray start: {where} after {timeout_s:.0f} s:\n{log.read_text()[-2000:]}")


def _stop(head: "subprocess.Popen[bytes]") -> None:
    """End the head and all that it started (the whole session), gently first."""
    import psutil

    try:
        family = [psutil.Process(head.pid), *psutil.Process(head.pid).children(recursive=True)]
    except psutil.NoSuchProcess:
        family = []
    head.send_signal(signal.SIGTERM)
    _, alive = psutil.wait_procs(family, timeout=5)
    for process in alive:
        with suppress(psutil.NoSuchProcess):  # it may end by itself between the look and the kill
            process.kill()
    head.wait()


def _ray() -> str:
    return str(Path(sys.executable).parent / "ray")
