"""Drivers that are killed at any moment, with their actors, workers and nodes, for the tests of jobs that go on."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import psutil
import pytest
from encoding_stub import paid

TESTS = Path(__file__).parent
PATHS = os.pathsep.join(map(str, (TESTS, TESTS.parent)))
#: Longer than any run that is left alone: what is still running then hangs.
WATCHDOG_S = 120


def start(script: str, root: Path, ledger: Path, seconds_a_text: float) -> subprocess.Popen[str]:
    """The driver `script` of this folder, on a cluster of its own."""
    return subprocess.Popen(
        [sys.executable, TESTS / script, root, ledger, str(seconds_a_text)], text=True, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, start_new_session=True,
        env=os.environ | {"PYTHONPATH": PATHS},
    )  # fmt: skip


def family(driver: subprocess.Popen[str]) -> list[psutil.Process]:
    """The driver and every process it started."""
    try:
        parent = psutil.Process(driver.pid)
        return [parent, *parent.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def kill(process: psutil.Process) -> None:
    try:
        process.send_signal(signal.SIGKILL)
    except psutil.NoSuchProcess:
        return


def workers(driver: subprocess.Popen[str], name: str) -> list[psutil.Process]:
    """Ray processes of this driver whose title holds `name`."""
    found = []
    for process in family(driver)[1:]:
        try:
            if name in " ".join(process.cmdline()):
                found.append(process)
        except (psutil.NoSuchProcess, psutil.ZombieProcess):
            continue
    return found


def wait_for(ledger: Path, n_texts: int, driver: subprocess.Popen[str]) -> None:
    """Until the stub was paid for `n_texts`, or the driver has ended."""
    deadline = time.monotonic() + WATCHDOG_S
    while len(paid(ledger)) < n_texts and driver.poll() is None:
        assert time.monotonic() < deadline, "no progress: the run hangs"
        time.sleep(0.02)


def strike(driver: subprocess.Popen[str], victim: str) -> None:
    """Kill an actor, a worker that ran the scan, the node, or the driver and all it started."""
    if victim == "driver":
        doomed = family(driver)
    elif victim == "node":
        doomed = workers(driver, "raylet/raylet")
    else:
        doomed = workers(driver, "ray::IDLE" if victim == "worker" else "EncodeActor")[:1]
    for process in doomed:
        kill(process)


def finish(driver: subprocess.Popen[str]) -> None:
    try:
        _, errors = driver.communicate(timeout=WATCHDOG_S)
    except subprocess.TimeoutExpired:
        for process in family(driver):
            kill(process)
        pytest.fail(f"the run hangs: not done {WATCHDOG_S} s after the last kill")
    assert driver.returncode == 0, errors[-3000:]


def killed_again_and_again(
    script: str, root: Path, ledger: Path, n_texts: int, victims: Sequence[str], seed: int
) -> None:
    """Run the driver to its end while `victims` are killed at moments drawn from `seed`."""
    rng = random.Random(seed)
    marks = sorted(rng.sample(range(n_texts // 10, n_texts), len(victims)))
    driver = start(script, root, ledger, 0.01)
    for mark, victim in zip(marks, victims, strict=True):
        wait_for(ledger, mark, driver)
        assert driver.poll() is None, "a run must survive the death of its actors and workers"
        time.sleep(rng.uniform(0, 0.3))
        strike(driver, victim)
        if victim in ("driver", "node"):
            for process in family(driver):
                kill(process)
            driver.wait(timeout=WATCHDOG_S)
            driver = start(script, root, ledger, 0.01)
    finish(driver)


def drawn_victims() -> list[str]:
    """Twenty."""
    return random.Random(20).choices(["actor", "worker", "driver", "node"], [8, 6, 4, 2], k=20)
