"""Killing the job at any stage and running it again finishes, redoes no finished stage and loses no row."""

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from factories.demo import QUICKSTART, REPOSITORY, TINY

from llmrec.pipeline import STAGES

pytestmark = pytest.mark.timeout(3600)


def _start(root: Path) -> "subprocess.Popen[str]":
    overrides = [*TINY, "evaluation.baselines=[popularity]", f"storage={root}"]
    command = [sys.executable, "-m", "jobs.pipeline", "--config", QUICKSTART, *overrides]
    return subprocess.Popen(
        command, cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )


def _kill_after(process: "subprocess.Popen[str]", line_end: str, delay_s: float) -> list[str]:
    """Read the log until `line_end` is logged, wait a little, then SIGKILL the job and all its Ray processes."""
    assert process.stderr is not None
    seen = []
    for line in process.stderr:
        seen.append(line)
        if line_end in line:
            break
    threading.Event().wait(delay_s)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    return seen


def _manifests(root: Path) -> dict[str, bytes]:
    return {str(p.relative_to(root)): p.read_bytes() for p in root.glob("*/*/manifest.json")}


def test_a_run_killed_while_any_stage_works_finishes(tmp_path: Path) -> None:
    finished: dict[str, bytes] = {}
    for before in STAGES[:-1]:
        log = _kill_after(_start(tmp_path), f"{before}: done", delay_s=2)
        assert any(f"{before}: done" in line for line in log), "".join(log)[-3000:]
        now = _manifests(tmp_path)
        assert now.keys() >= finished.keys()
        assert {k: now[k] for k in finished} == finished  # what was finished was not made again
        finished = now
    out, err = (process := _start(tmp_path)).communicate(timeout=600)
    assert process.returncode == 0, err[-4000:]
    answer = json.loads(out.splitlines()[-1])
    assert answer["rows_in"] == answer["rows_out"] + answer["quarantined"] == 700
    assert answer["published"]
    after = _manifests(tmp_path)
    assert {k: after[k] for k in finished} == finished
