"""The application that the KubeRay manifest embeds, deployed through the dashboard as KubeRay does, on two nodes."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from factories.bundles import make_bundle
from factories.load import Load
from factories.nodes import second_node
from factories.running import HASHING

from jobs.local import LocalCluster, free_port, local_cluster
from jobs.serve import SETTINGS
from llmrec.encoding import encoder_fingerprint
from llmrec.registry import publish
from llmrec.storage import Storage

ROOT = Path(__file__).resolve().parents[2]
KEY = "0123456789abcdef"
PATIENCE_S = 400


@pytest.fixture
def cluster() -> Iterator[LocalCluster]:
    """A head and a worker, as the manifest's containers are set."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (SETTINGS | {"PYTHONPATH": str(ROOT)}).items():
            patch.setenv(name, value)
        with local_cluster(2, joinable=True) as cluster, second_node(cluster):
            yield cluster


def embedded(storage: Storage, folder: Path, port: int) -> dict[str, Any]:
    """The manifest's serveConfigV2, but for where things lie here, and replicas that fit four CPUs."""
    manifest = yaml.safe_load((ROOT / "deploy/kuberay/rayservice.yaml").read_text())
    served: dict[str, Any] = yaml.safe_load(manifest["spec"]["serveConfigV2"])
    served["http_options"] |= {"host": "127.0.0.1", "port": port}
    (application,) = served["applications"]
    args = application["args"]
    args |= {"config": str(ROOT / Path(args["config"]).relative_to("/home/ray/llmrec")), "storage": storage.root}
    keys = folder / "keys"
    keys.write_text(f"me read {KEY}\n")
    args["overrides"] = [o.replace("/etc/llmrec/keys", str(keys)) for o in args["overrides"]]
    args["overrides"] += ["serving.replica_cpus=0.4"]
    return served


def test_the_embedded_application_serves_from_both_nodes(cluster: LocalCluster, tmp_path: Path) -> None:
    storage, port = Storage(str(tmp_path / "artifacts")), free_port()
    bundle = make_bundle(storage, "good", dim=256, encoder=HASHING, fingerprint=encoder_fingerprint(HASHING))
    publish(storage, bundle, "gpu")  # the configuration's name
    dashboard = httpx.Client(
        base_url=cluster.dashboard, timeout=60,
        headers={"Authorization": f"Bearer {cluster.environment['RAY_AUTH_TOKEN']}"},
    )  # fmt: skip
    deployed = dashboard.put("/api/serve/applications/", json=embedded(storage, tmp_path, port))
    assert deployed.status_code == 200, deployed.text
    told = _running(dashboard)
    replicas = [r for d in told["applications"]["llmrec"]["deployments"].values() for r in d["replicas"]]
    assert len({replica["node_id"] for replica in replicas}) == 2, replicas
    assert len(told["proxies"]) == 2 and {p["status"] for p in told["proxies"].values()} == {"HEALTHY"}
    url, headers = f"http://127.0.0.1:{port}", {"authorization": f"Bearer {KEY}"}
    assert httpx.get(f"{url}/readyz", timeout=60).json()["checks"] == dict.fromkeys(
        ("encoder", "retriever", "ranker"), "ok"
    )
    assert httpx.post(f"{url}/v1/recommend", json={"user_id": "u1"}, timeout=60).status_code == 401
    for body in ({"user_id": "u1"}, {"text": "a drum"}):
        answer = httpx.post(f"{url}/v1/recommend", json=body, headers=headers, timeout=60)
        assert answer.status_code == 200 and answer.json()["bundle"] == "good", answer.text
    with Load(f"{url}/v1/recommend", [{"user_id": "u2"}], pause_s=0.02, headers=headers) as load:
        load.wait_for(100, timeout_s=120)
    assert {reply.status for reply in load.replies} == {200}


def _running(dashboard: httpx.Client) -> dict[str, Any]:
    """What Serve says of itself once the application and a proxy on each node are there."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        told: dict[str, Any] = dashboard.get("/api/serve/applications/").json()
        application = told["applications"]["llmrec"]
        assert application["status"] not in ("DEPLOY_FAILED", "UNHEALTHY"), application["message"]
        healthy = [proxy for proxy in told["proxies"].values() if proxy["status"] == "HEALTHY"]
        if application["status"] == "RUNNING" and len(healthy) == 2:
            return told
        assert time.monotonic() < deadline, told
        time.sleep(0.5)
