"""What operators see: /metrics, the dashboard and alerts made from it, refusals in the log, request ids."""

import asyncio
import json
import logging
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from factories.serving import Faulty, Parts
from starlette.testclient import TestClient

from serve_app.middleware.request_id import CleanRequestId

DEPLOY = Path(__file__).resolve().parents[3] / "deploy"


def samples(client: TestClient) -> dict[str, float]:
    """Every sample of /metrics by its name and labels."""
    lines = client.get("/metrics").text.splitlines()
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines if line[0] != "#")}


def test_requests_are_counted_by_route_and_what_answers_rest_on(parts: Parts) -> None:
    with TestClient(parts.app()) as client:
        for request in ({"user_id": "u1"}, {"user_id": "stranger"}, {"text": "a drum"}):
            assert client.post("/v1/recommend", json=request).status_code == 200
        client.get("/v1/items/i1/similar")
        client.get("/v1/items/secret/similar")
        client.request("SECRET", "/secret")
        found = samples(client)
        text = client.get("/metrics").text
    assert found['llmrec_requests_total{method="POST",route="/v1/recommend",status="200"}'] == 3
    for status in (200, 404):
        similar = f'method="GET",route="/v1/items/{{item_id:path}}/similar",status="{status}"'
        assert found[f"llmrec_requests_total{{{similar}}}"] == 1
    assert found['llmrec_requests_total{method="OTHER",route="(no route)",status="404"}'] == 1
    assert found['llmrec_recommendations_total{basis="history"}'] == found['llmrec_recommendations_total{basis="text"}']
    assert found['llmrec_fallbacks_total{reason="unknown_user"}'] == 1
    assert found["llmrec_candidates_count"] == found['llmrec_stage_seconds_count{stage="retrieve"}'] == 3
    assert found['llmrec_stage_seconds_count{stage="text"}'] == 1
    assert found['llmrec_request_seconds_count{route="/v1/recommend"}'] == 3
    assert found['llmrec_bundle{bundle="first"}'] == 1
    assert 0 < found["llmrec_bundle_age_seconds"] < 3600
    assert found["llmrec_requests_ongoing"] == 1  # this one
    assert "secret" not in text.lower()


def test_metrics_are_told_while_the_retriever_is_away(parts: Parts) -> None:
    away = Parts(parts.storage, parts.encoder, Faulty(parts.retriever, [OSError()]), parts.ranker, parts.config)
    with TestClient(away.app()) as client:
        assert client.get("/metrics").status_code == 200


def names_in(text: str) -> set[str]:
    return set(re.findall(r"\bllmrec_\w+", text))


@pytest.mark.parametrize("file", ["grafana-dashboard.json", "prometheus-alerts.yaml"])
def test_what_is_deployed_names_metrics_that_exist(parts: Parts, file: str) -> None:
    text = (DEPLOY / file).read_text()
    loaded: Any = json.loads(text) if file.endswith("json") else yaml.safe_load(text)
    if file.endswith("json"):
        expressions = [target["expr"] for panel in loaded["panels"] for target in panel["targets"]]
    else:
        expressions = [rule["expr"] for group in loaded["groups"] for rule in group["rules"]]
    with TestClient(parts.app()) as client:
        for request in ({"user_id": "u1"}, {"user_id": "stranger"}):
            client.post("/v1/recommend", json=request)
        served = client.get("/metrics").text
    # A counter without samples has its TYPE line alone; its samples end in _total, a histogram's in _bucket.
    declared = dict(re.findall(r"# TYPE (llmrec_\w+) (\w+)", served))
    ending = {"counter": "", "histogram": "_bucket", "gauge": ""}
    known = {name + ending[kind] for name, kind in declared.items()}
    assert len(expressions) >= 8
    for expression in expressions:
        assert names_in(expression) <= known, expression
        assert names_in(expression), expression


def test_refusals_and_failures_are_logged_as_errors_by_route(parts: Parts, caplog: pytest.LogCaptureFixture) -> None:
    broken = Parts(parts.storage, parts.encoder, Faulty(parts.retriever, [RuntimeError("inside")]), parts.ranker,
                   parts.config)  # fmt: skip
    log = logging.getLogger("ray.serve")
    with caplog.at_level(logging.ERROR, "ray.serve"), TestClient(broken.app(), raise_server_exceptions=False) as client:
        log.addHandler(caplog.handler)
        try:
            client.post("/v1/recommend", content=b"x" * 100_001)
            client.get("/v1/items/secret/similar")
            client.get("/v1/items/secret/similar")
        finally:
            log.removeHandler(caplog.handler)
    said = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert any(re.fullmatch(r"POST /v1/recommend 413 after \d+ ms, key -", line) for line in said)
    assert any(line.startswith("GET /v1/items/{item_id:path}/similar 500") for line in said)
    assert not any("404" in line or "secret" in line for line in said)


HARMLESS = (b"Abc-1_2.3", b"x" * 64)
HARMFUL = (b"x" * 65, b"a b", b"a\x1b[31m", b"", "é".encode())


@pytest.mark.parametrize(("sent", "kept"), [(s, True) for s in HARMLESS] + [(s, False) for s in HARMFUL])
def test_only_harmless_request_ids_reach_the_logs(sent: bytes, kept: bool) -> None:
    seen: list[Any] = []

    async def app(scope: Any, _: Any, __: Any) -> None:
        seen.extend(scope["headers"])

    other = (b"accept", b"*/*")
    asyncio.run(CleanRequestId(app)({"type": "http", "headers": [(b"X-Request-ID", sent), other]}, None, None))  # type: ignore[arg-type]
    assert seen == ([(b"X-Request-ID", sent), other] if kept else [other])
