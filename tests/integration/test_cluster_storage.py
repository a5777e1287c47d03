"""On a real two-node cluster: storage that one node does not see is refused before any work is done."""

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobs.cluster import storage_root
from jobs.local import LocalCluster, free_port, local_cluster

SCRIPT = """
import sys
from jobs.cluster import connect
from llmrec.storage import Storage
import ray
try:
    connect(Storage(sys.argv[1]))
    print("shared", len([n for n in ray.nodes() if n["Alive"]]))
except ValueError as error:
    print("refused", error)
"""


@pytest.fixture
def hidden(tmp_path: Path) -> Path:
    """A folder that the second node will not see: it mounts an empty file system over it."""
    folder = tmp_path / "hidden"
    folder.mkdir()
    if subprocess.run(["unshare", "-m", "true"], capture_output=True).returncode:
        pytest.skip("unshare -m is not allowed here: a node with a disk of its own cannot be made")
    return folder


@pytest.fixture
def two_nodes(hidden: Path) -> Iterator[LocalCluster]:
    with local_cluster(num_cpus=2) as cluster:
        ray = str(Path(sys.executable).parent / "ray")
        start = (
            f"mount -t tmpfs tmpfs {hidden} && exec {ray} start --address={cluster.address} --num-cpus=2 --block "
            f"--dashboard-agent-listen-port={free_port()}"
        )
        node = subprocess.Popen(
            ["unshare", "-m", "sh", "-c", start],
            env=cluster.environment,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )
        yield cluster
        node.terminate()
        node.wait(90)


def _connect(cluster: LocalCluster, root: Path) -> str:
    environment = cluster.environment | {"RAY_ADDRESS": cluster.address}
    command = [sys.executable, "-c", SCRIPT, str(root)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120).stdout


def test_storage_that_one_node_does_not_see_is_refused(two_nodes: LocalCluster, hidden: Path, tmp_path: Path) -> None:
    deadline = time.monotonic() + 180
    while "shared 2" not in _connect(two_nodes, tmp_path) and time.monotonic() < deadline:
        time.sleep(1)
    assert "shared 2" in _connect(two_nodes, tmp_path)  # the positive control: a folder that both see
    answer = _connect(two_nodes, hidden)
    assert answer.startswith(f"refused storage '{hidden}' is not seen by 1 of 2 nodes")
    assert "s3://" in answer
    assert not list(hidden.iterdir())


def test_relative_storage_goes_to_the_home_of_a_submitted_job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LLMREC_HOME", raising=False)
    monkeypatch.chdir(tmp_path)
    assert storage_root("artifacts") == str(tmp_path / "artifacts")
    copy = tmp_path / "runtime_resources" / "working_dir_files" / "pkg"
    copy.mkdir(parents=True)
    monkeypatch.chdir(copy)
    assert storage_root("artifacts") == str(Path.home() / "llmrec" / "artifacts")
    monkeypatch.setenv("LLMREC_HOME", str(tmp_path))
    assert storage_root("artifacts") == str(tmp_path / "artifacts")
    assert storage_root("s3://bucket/x") == "s3://bucket/x"
