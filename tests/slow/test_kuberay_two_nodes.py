"""The application that the KubeRay manifest embeds, deployed through the dashboard as KubeRay does, on two nodes."""

import tempfile
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
from factories.postgres import Postgres, postgres
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


@pytest.fixture
def database() -> Iterator[Postgres]:
    with tempfile.TemporaryDirectory() as folder, postgres(Path(folder) / "pg") as server:
        yield server


def embedded(storage: Storage, folder: Path, port: int, log: str) -> dict[str, Any]:
    """The manifest's serveConfigV2, but for where things lie here, replicas that fit four CPUs, and live events."""
    manifest = yaml.safe_load((ROOT / "deploy/kuberay/rayservice.yaml").read_text())
    served: dict[str, Any] = yaml.safe_load(manifest["spec"]["serveConfigV2"])
    served["http_options"] |= {"host": "127.0.0.1", "port": port}
    (application,) = served["applications"]
    args = application["args"]
    args |= {"config": str(ROOT / Path(args["config"]).relative_to("/home/ray/llmrec")), "storage": storage.root}
    keys = folder / "keys"
    keys.write_text(f"me write {KEY}\n")
    args["overrides"] = [o.replace("/etc/llmrec/keys", str(keys)) for o in args["overrides"]]
    args["overrides"] += ["serving.replica_cpus=0.4", "serving.live.enabled=true", f"serving.live.path={log}"]
    return served


def test_the_embedded_application_serves_from_both_nodes(
    cluster: LocalCluster, database: Postgres, tmp_path: Path
) -> None:
    storage, port = Storage(str(tmp_path / "artifacts")), free_port()
    bundle = make_bundle(storage, "good", dim=256, encoder=HASHING, fingerprint=encoder_fingerprint(HASHING))
    publish(storage, bundle, "gpu")  # the configuration's name
    dashboard = httpx.Client(
        base_url=cluster.dashboard, timeout=60,
        headers={"Authorization": f"Bearer {cluster.environment['RAY_AUTH_TOKEN']}"},
    )  # fmt: skip
    deployed = dashboard.put("/api/serve/applications/", json=embedded(storage, tmp_path, port, database.log("shop")))
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
    _all_replicas_see_an_event(url, headers)


def _all_replicas_see_an_event(url: str, headers: dict[str, str]) -> None:
    """One is posted through one node's proxy, and soon no replica of either node lists what was taken."""

    def taken_in(answers: int) -> list[bool]:
        ask = {"user_id": "u1", "k": 20}
        found = [
            httpx.post(f"{url}/v1/recommend", json=ask, headers=headers, timeout=60).json() for _ in range(answers)
        ]
        return [item in [i["item_id"] for i in answer["items"]] for answer in found]

    first = httpx.post(f"{url}/v1/recommend", json={"user_id": "u1"}, headers=headers, timeout=60).json()
    item = first["items"][0]["item_id"]
    assert all(taken_in(5))
    event = {"event_id": "e", "user_id": "u1", "item_id": item, "stars": 5}
    assert httpx.post(f"{url}/v1/events", json=event, headers=headers, timeout=60).json()["stored"] == 1
    deadline = time.monotonic() + 60
    while any(taken_in(20)):
        assert time.monotonic() < deadline


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
