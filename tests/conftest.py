"""Shared by all tests: what runs beside what, a local Ray cluster, the development corpus, what was skipped."""

import os
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

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
#: Tests below these folders run one after the other in one process each, for they share a cluster or its artifacts.
SHARING = {"tests/integration/": "cluster", "tests/e2e/": "demo", "tests/slow/": "slow"}
#: But these, which start processes or clusters of their own or none. All else is dealt out file by file.
ALONE = ("browser.py", "test_encoding_engine.py", "test_encoding_kill.py", "two_nodes.py", "family_weights.py")


def group_of(nodeid: str) -> str:
    """What is done by one process in one go."""
    path = nodeid.partition("::")[0]
    shared = next((name for folder, name in SHARING.items() if path.startswith(folder)), path)
    return path if path.endswith(ALONE) else shared


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """By groups, in the order of `pytest_collection_modifyitems`. (`--dist loadgroup` needs a pytest before 9.2.)"""
    from xdist.scheduler.loadscope import LoadScopeScheduling

    class Groups(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return group_of(nodeid)

    config.option.loadscopereorder = False
    return Groups(config, log)


@pytest.hookimpl(tryfirst=True)  # before `-m` looks at marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What lies in tests/slow is slow. What takes longest first: the cluster; then the demo and what starts processes.

    The contracts lie between, so that no two clusters start at once: Ray gives up on a node that takes 15 s for it.
    """
    for item in items:
        if item.nodeid.startswith("tests/slow/"):
            item.add_marker(pytest.mark.slow)
    turns = ["cluster", "tests/contract/", "demo", "slow", *SHARING]
    items.sort(
        key=lambda item: next((n for n, t in enumerate(turns) if group_of(item.nodeid).startswith(t)), len(turns))
    )


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """What shares no cluster runs in its process alone, though that had one before."""
    ray = sys.modules.get("ray")
    if ray is not None and group_of(item.nodeid) not in SHARING.values() and ray.is_initialized():
        ray.shutdown()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What was not tested on this machine, and what it lacks: a line a reason."""
    reasons = Counter(report.longrepr[2] for report in terminalreporter.stats.get("skipped", ()))
    for reason, n in reasons.items():
        terminalreporter.write_line(f"skipped {n} tests: {reason.removeprefix('Skipped: ')}")


@pytest.fixture(scope="session")
def ray_cluster() -> Iterator[None]:
    """A local Ray cluster with 2 logical CPUs, whatever the machine has: each more is a process that imports all."""
    import ray

    from jobs.cluster import start_local

    start_local(2, log_to_driver=False, configure_logging=False)
    yield
    ray.shutdown()


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """The folder with the real review corpus; skips where it is absent (it may not be redistributed)."""
    folder = Path(os.environ.get("LLMREC_DATA", REPOSITORY.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"{folder} is absent: set LLMREC_DATA to the folder with the development corpus")
    return folder
