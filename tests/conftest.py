"""Shared by all tests: one local Ray cluster a session, the development corpus where there is one, what was skipped."""

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("reproducible", derandomize=True, deadline=None)  # how fast is for benchmarks
settings.register_profile("exploring", max_examples=1000, deadline=None)  # HYPOTHESIS_PROFILE=exploring looks further
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "reproducible"))

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
os.environ.setdefault("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")
os.environ.setdefault("RAY_worker_niceness", "0")
os.environ.setdefault(
    "OMP_NUM_THREADS", "1"
)  # tiny matrices: a second thread only waits, for ever where cores are busy

REPOSITORY = Path(__file__).resolve().parent.parent


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What was not tested on this machine, and what it lacks: a line a reason."""
    reasons = Counter(report.longrepr[2] for report in terminalreporter.stats.get("skipped", ()))
    for reason, n in reasons.items():
        terminalreporter.write_line(f"skipped {n} tests: {reason.removeprefix('Skipped: ')}")


@pytest.fixture(scope="session")
def ray_cluster() -> Iterator[None]:
    """A local Ray cluster with 4 logical CPUs, whatever the machine has, so that no stage waits for a slot."""
    import ray

    from jobs.cluster import start_local

    start_local(4, log_to_driver=False, configure_logging=False)
    yield
    ray.shutdown()


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """The folder with the real review corpus; skips where it is absent (it may not be redistributed)."""
    folder = Path(os.environ.get("LLMREC_DATA", REPOSITORY.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"{folder} is absent: set LLMREC_DATA to the folder with the development corpus")
    return folder
