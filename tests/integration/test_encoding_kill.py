"""SIGKILL at any moment: the next run goes on, pays again at most for batches in flight, and ends with every vector."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
from encoding_job_script import BATCH
from encoding_stub import corpus_of, held_keys, paid, stub_vector

from llmrec.encoding import load_vectors, open_store
from llmrec.storage import Storage

SCRIPT = Path(__file__).parent.parent / "encoding_job_script.py"
PATHS = os.pathsep.join(map(str, (SCRIPT.parent, SCRIPT.parent.parent)))
#: Longer than any run that is left alone: what is still running then hangs.
WATCHDOG_S = 120


def start(root: Path, ledger: Path, seconds_a_text: float) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, SCRIPT, root, ledger, str(seconds_a_text)], text=True, stdout=subprocess.PIPE,
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


def run_with_kills(folder: Path, n_texts: int, victims: list[str], seed: int) -> None:
    texts = [f"review {n} of a corpus that is being killed" for n in range(n_texts)]
    root, ledger, rng = folder / "store", folder / "ledger", random.Random(seed)
    storage = Storage(str(root))
    corpus_of(storage, texts)
    marks = sorted(rng.sample(range(n_texts // 10, n_texts), len(victims)))
    driver = start(root, ledger, 0.01)
    for mark, victim in zip(marks, victims, strict=True):
        wait_for(ledger, mark, driver)
        assert driver.poll() is None, "a run must survive the death of its actors and workers"
        time.sleep(rng.uniform(0, 0.3))
        strike(driver, victim)
        if victim in ("driver", "node"):
            for process in family(driver):
                kill(process)
            driver.wait(timeout=WATCHDOG_S)
            driver = start(root, ledger, 0.01)
    finish(driver)
    (made,) = [storage.find("embeddings", p.parent.name) for p in root.glob("embeddings/*/manifest.json")]
    assert made is not None
    store = open_store(storage, made)
    assert len(held_keys(store)) == n_texts  # none missing, none too many
    vectors, present = load_vectors(storage, made, "review", [f"r{n}" for n in range(n_texts)])
    assert present.all()
    assert (vectors * np.array([stub_vector(text) for text in texts])).sum(axis=1).min() >= 0.9999
    assert len(paid(ledger)) - n_texts <= len(victims) * BATCH
    assert not [p for p in root.rglob("*.tmp") if p.stat().st_size and "vectors" not in p.parts]


def test_a_killed_actor_and_a_killed_job(tmp_path: Path) -> None:
    run_with_kills(tmp_path, 500, ["actor", "driver"], seed=3)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_twenty_kills(tmp_path: Path) -> None:
    rng = random.Random(20)
    run_with_kills(tmp_path, 8000, rng.choices(["actor", "worker", "driver", "node"], [8, 6, 4, 2], k=20), seed=20)
