"""Live events into a PostgreSQL that several machines share: the next answer knows of them, and it may be away."""

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from factories.postgres import Postgres, postgres
from factories.serving import SMALL, make_parts
from starlette.testclient import TestClient


@pytest.fixture(scope="module")
def database() -> Iterator[Postgres]:
    with tempfile.TemporaryDirectory() as folder, postgres(Path(folder) / "pg") as server:
        yield server


def test_two_ingresses_share_a_log_and_answer_while_it_is_away(
    database: Postgres, tmp_path_factory: pytest.TempPathFactory
) -> None:
    live = {"enabled": True, "path": database.log("shop")}
    one, two = (make_parts(str(tmp_path_factory.mktemp(name)), **SMALL | {"live": live}) for name in ("one", "two"))
    ask = {"user_id": "u1", "k": 20}

    def listed(client: TestClient) -> list[str]:
        return [item["item_id"] for item in client.post("/v1/recommend", json=ask).json()["items"]]

    with TestClient(one.app()) as first, TestClient(two.app()) as second:
        taken = listed(first)[0]
        assert taken in listed(second)
        event = {"event_id": "e", "user_id": "u1", "item_id": taken, "stars": 5}
        assert first.post("/v1/events", json=event).json() == {"stored": 1, "duplicates": 0, "sequence": 1}
        for parts in (one, two):  # as each replica does every `pull_ms`
            for part in (parts.retriever, parts.ranker):
                part._swapper.held[0].catch_up()
        time.sleep(0.002)  # an event is seen strictly after its millisecond
        assert taken not in listed(second) and taken not in listed(first)
        assert second.post("/v1/events", json=event).json()["duplicates"] == 1

        database.stop()
        refused = first.post("/v1/events", json=event | {"event_id": "f"})
        assert refused.status_code == 503 and refused.json()["error"]["code"] == "log_unavailable"
        assert len(listed(first)) == len(listed(second)) == 20
        database.start()
        assert first.post("/v1/events", json=event | {"event_id": "f"}).json()["stored"] == 1
