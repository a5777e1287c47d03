"""Live events through Ray Serve: real replicas follow the log, and killed ones come back with all of it."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
import yaml
from factories.bundles import make_bundle

from jobs.serve import free_port
from llmrec.config import EncoderConfig, load_config
from llmrec.encoding import encoder_fingerprint
from llmrec.exposures import ExposureLog
from llmrec.exposures.paths import log_paths
from llmrec.registry import publish
from llmrec.storage import Storage

NAME = "live"
HASHING = EncoderConfig(backend="hashing", model="hashing")
SERVING = {"live": {"enabled": True, "pull_ms": 50}, "exposures": {"enabled": True, "flush_ms": 50},
           "experiments": {"try": {"arms": {"plain": {}, "other": {"bundle": "second"}}}},
           "replica_cpus": 0.1, "retrieve": 20, "max_k": 20,
           "request_timeout_s": 100}  # fmt: skip


@dataclass
class Server:
    url: str
    config: str

    def post(self, path: str, body: Any) -> dict[str, Any]:
        answer = httpx.post(f"{self.url}{path}", json=body, timeout=60)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def recommended(self, user: str) -> list[str]:
        return [item["item_id"] for item in self.post("/v1/recommend", {"user_id": user, "k": 20})["items"]]

    def await_(self, told: Callable[[dict[str, int]], bool]) -> None:
        """Until what a replica says of the log satisfies."""
        deadline = time.monotonic() + 180  # on busy cores a new replica takes its time
        while not ((live := self._live()) and told(live)):
            assert time.monotonic() < deadline, live
            time.sleep(0.02)

    def _live(self) -> dict[str, int] | None:
        answer = httpx.get(f"{self.url}/v1/model", timeout=120)
        found: dict[str, int] | None = answer.json()["live"] if answer.status_code == 200 else None
        return found


@pytest.fixture(scope="module")
def server(ray_cluster: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    from ray import serve

    from serve_app.app import BuildArgs, build

    folder = tmp_path_factory.mktemp("live")
    storage = Storage(str(folder))
    publish(
        storage, make_bundle(storage, "first", encoder=HASHING, fingerprint=encoder_fingerprint(HASHING), dim=256), NAME
    )
    make_bundle(storage, "second", encoder=HASHING, fingerprint=encoder_fingerprint(HASHING), dim=256, seed=1)
    path = folder / "live.yaml"
    path.write_text(yaml.safe_dump({"name": NAME, "storage": str(folder), "serving": SERVING}, sort_keys=False))
    port = free_port("127.0.0.1", 0)
    serve.start(http_options={"host": "127.0.0.1", "port": port})
    serve.run(build(BuildArgs(config=str(path))), name=NAME, route_prefix="/")
    yield Server(f"http://127.0.0.1:{port}", str(path))
    serve.shutdown()


def kill(part: str) -> None:
    from ray.serve.context import _get_global_client

    deployments = _get_global_client().get_serve_details()["applications"][NAME]["deployments"]
    for replica in deployments[part]["replicas"]:
        os.kill(replica["pid"], signal.SIGKILL)


def test_events_change_the_next_answer(server: Server) -> None:
    taken = server.recommended("shopper")[:2]
    for n, item in enumerate(taken):
        server.post("/v1/events", {"event_id": f"s{n}", "user_id": "shopper", "item_id": item})
    server.await_(lambda live: live["events"] == 2)
    answer = server.post("/v1/recommend", {"user_id": "shopper", "k": 20})
    assert answer["basis"] == "history" and not {item["item_id"] for item in answer["items"]} & set(taken)


def test_an_item_that_is_not_available_is_in_no_list(server: Server) -> None:
    first = server.recommended("u7")[0]
    for told, listed in (({"available": False}, False), ({"available_until": "2099-01-01"}, True)):
        answer = httpx.put(f"{server.url}/v1/items/{first}", json={"title": first} | told, timeout=120)
        assert answer.status_code == 200, answer.text
        logged = answer.json()["sequence"]
        server.await_(lambda live, logged=logged: live["sequence"] >= logged)  # type: ignore[misc]
        alone = server.post(
            "/v1/recommend", {"user_id": "u7", "k": 5, "allow_items": [first]}
        )  # other words rank it anew
        assert [item["item_id"] for item in alone["items"]] == [first] * listed


def test_what_was_shown_is_logged_and_what_came_back_joins_it(server: Server) -> None:
    """Two arms on two bundles, drawn slots, a click and a purchase."""
    explore = {"policy": "linucb", "rate": 0.5}
    lists = [server.post("/v1/recommend", {"user_id": f"u{n}", "k": 5, "explore": explore}) for n in range(12)]
    assert {(a["arm"], a["bundle"]) for a in lists} == {("try/plain", "first"), ("try/other", "second")}
    first, second = (found["items"][0]["item_id"] for found in lists[:2])
    assert server.post("/v1/feedback", {"list_id": lists[0]["list_id"], "item_id": first}) == {"stored": 1}
    server.post("/v1/events", {"event_id": "bought", "user_id": "u1", "item_id": second})
    config = load_config(server.config)
    log, deadline = ExposureLog(log_paths(config, config.storage).exposures), time.monotonic() + 60
    while len(log.feedback()) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.slow
def test_events_outlive_every_part(server: Server) -> None:
    taken = server.recommended("newcomer")[:3]
    events = [{"event_id": f"e{k}", "user_id": "newcomer", "item_id": item, "stars": 5, "text": "a fine drum"}
              for k, item in enumerate(taken)]  # fmt: skip
    logged = server.post("/v1/events", {"events": events})
    assert (logged["stored"], logged["duplicates"]) == (3, 0)
    server.await_(lambda live: live["with_words"] == 3)  # encoded meanwhile, and counted
    kill("Recommender")
    server.await_(lambda live: live["events"] >= 3 and live["with_words"] == 3)
    assert not set(server.recommended("newcomer")) & set(taken)
    kill("Ingress")
    deadline = time.monotonic() + 180
    while True:  # sent again, as a client does that was not answered
        try:
            again = server.post("/v1/events", {"events": events})
            break
        except (httpx.TransportError, AssertionError):
            assert time.monotonic() < deadline
            time.sleep(0.2)
    assert (again["stored"], again["duplicates"]) == (0, 3)
