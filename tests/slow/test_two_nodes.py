"""On a real two-node cluster: an encoder on each GPU, and storage that one node does not see is refused."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from factories.nodes import second_node

from jobs.cluster import storage_root
from jobs.local import LocalCluster, local_cluster

CONNECT = """
import sys
from jobs.cluster import connect
from llmrec.storage import Storage
import ray
for root in sys.argv[1:]:
    try:
        connect(Storage(root))
        print("shared", len([n for n in ray.nodes() if n["Alive"]]), ray.cluster_resources().get("GPU"))
        ray.shutdown()
    except ValueError as error:
        print("refused", error)
"""
ENCODE = """
import json, sys, uuid
from pathlib import Path
import ray
from jobs.cluster import connect
from llmrec import corpus, encoding
from llmrec.config import RunConfig
from llmrec.storage import Storage

root = sys.argv[1]

def recording(config, threads=None, **options):
    context = ray.get_runtime_context()
    seen = {"node": context.get_node_id(), "gpus": context.get_accelerator_ids()["GPU"]}
    Path(root, "seen-" + uuid.uuid4().hex).write_text(json.dumps(seen))
    return encoding.make_encoder(config, threads, **options)

storage = Storage(root)
connect(storage)
config = RunConfig.model_validate({
    "corpus": {"sample": {"n_users": 200, "n_items": 100, "n_reviews": 3000}},
    "encoding": {"encoder": {"backend": "hashing"}, "gpus_per_actor": 1, "batch_texts": 256},
})
made = encoding.encode(config, storage, corpus.ingest(config, storage), factory=recording)
print(json.dumps(made.manifest.counts))
"""
#: Whether a node with a disk of its own can be made here.
HIDES = not subprocess.run(["unshare", "-m", "true"], capture_output=True).returncode


@pytest.fixture(scope="module")
def hidden(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that the second node does not see: it mounts an empty file system over it."""
    return tmp_path_factory.mktemp("hidden")


@pytest.fixture(scope="module")
def two_nodes(hidden: Path) -> Iterator[LocalCluster]:
    """Two nodes of two CPUs and one logical GPU each."""

    def hiding(command: list[str]) -> list[str]:
        return ["unshare", "-m", "sh", "-c", f"mount -t tmpfs tmpfs {hidden} && exec {' '.join(command)}"]

    with (
        local_cluster(2, "--num-gpus=1", joinable=True) as cluster,
        second_node(cluster, hiding if HIDES else list),
    ):
        _both_are_there(cluster, hidden.parent)
        yield cluster


def _run(cluster: LocalCluster, *arguments: str) -> "subprocess.CompletedProcess[str]":
    environment = cluster.environment | {"RAY_ADDRESS": cluster.address}
    command = [sys.executable, "-c", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240)


def _both_are_there(cluster: LocalCluster, root: Path) -> None:
    deadline, said = time.monotonic() + 180, ""  # a node of a busy machine is given up after 30 s, and started again
    while "shared 2 2.0" not in said and time.monotonic() < deadline:
        said = _run(cluster, CONNECT, str(root)).stdout
    assert "shared 2 2.0" in said  # the positive control: a folder that both see


@pytest.mark.skipif(not HIDES, reason="unshare -m is not allowed here: a node with a disk of its own cannot be made")
def test_storage_that_one_node_does_not_see_is_refused(two_nodes: LocalCluster, hidden: Path, tmp_path: Path) -> None:
    seen, refused = _run(two_nodes, CONNECT, str(tmp_path), str(hidden)).stdout.splitlines()
    assert seen == "shared 2 2.0"
    assert refused.startswith(f"refused storage '{hidden}' is not seen by 1 of 2 nodes")
    assert "s3://" in refused
    assert not list(hidden.iterdir())


def test_one_encoder_actor_lands_on_each_gpu(two_nodes: LocalCluster, tmp_path: Path) -> None:
    ran = _run(two_nodes, ENCODE, str(tmp_path))
    assert ran.returncode == 0, ran.stderr[-3000:]
    counts = json.loads(ran.stdout.splitlines()[-1])
    assert counts["rows_in"] == counts["rows_out"] + counts["quarantined"] > 3000
    seen = [json.loads(p.read_text()) for p in tmp_path.glob("seen-*")]
    assert len({s["node"] for s in seen}) == len(seen) == 2, seen
    assert all(len(s["gpus"]) == 1 for s in seen)


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
