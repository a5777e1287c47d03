"""On a two-node cluster with one logical GPU each, one encoder actor lands on each GPU."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobs.local import LocalCluster, free_port, local_cluster

SCRIPT = """
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


@pytest.fixture
def two_gpu_nodes() -> Iterator[LocalCluster]:
    with local_cluster(2, "--num-gpus=1") as cluster:
        node = subprocess.Popen(
            [str(Path(sys.executable).parent / "ray"), "start", f"--address={cluster.address}", "--num-cpus=2",
             "--num-gpus=1", "--block", f"--dashboard-agent-listen-port={free_port()}"],
            env=cluster.environment, stdout=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        yield cluster
        node.terminate()
        node.wait(90)


def _run(cluster: LocalCluster, *arguments: str) -> "subprocess.CompletedProcess[str]":
    environment = cluster.environment | {"RAY_ADDRESS": cluster.address}
    return subprocess.run(
        [sys.executable, "-c", *arguments], env=environment, capture_output=True, text=True, timeout=240
    )


def test_one_encoder_actor_lands_on_each_gpu(two_gpu_nodes: LocalCluster, tmp_path: Path) -> None:
    count = "import ray; ray.init(); print('gpus', ray.cluster_resources().get('GPU'))"
    deadline = time.monotonic() + 180
    while "gpus 2.0" not in _run(two_gpu_nodes, count).stdout and time.monotonic() < deadline:
        time.sleep(1)
    ran = _run(two_gpu_nodes, SCRIPT, str(tmp_path))
    assert ran.returncode == 0, ran.stderr[-3000:]
    counts = json.loads(ran.stdout.splitlines()[-1])
    assert counts["rows_in"] == counts["rows_out"] + counts["quarantined"] > 3000
    seen = [json.loads(p.read_text()) for p in tmp_path.glob("seen-*")]
    assert len({s["node"] for s in seen}) == len(seen) == 2, seen
    assert all(len(s["gpus"]) == 1 for s in seen)
