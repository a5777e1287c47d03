"""Keys: several, with roles, rotated without a restart, and the one thing that opens a route."""

import os
from pathlib import Path

import pytest
from factories.serving import Parts
from starlette.testclient import TestClient

from serve_app.middleware.keys import KeyRing, keys_in_environment, parse_keys

ROUTES = [("POST", "/v1/recommend"), ("POST", "/v1/rank"), ("POST", "/v1/encode"), ("GET", "/v1/items/i1/similar"),
          ("GET", "/v1/model"), ("GET", "/v1/nothing"), ("GET", "/nothing")]  # fmt: skip


SESAME = "sésame-open-yourself"
RING = f"shop read {SESAME}; events write write-write-write-1 # for later\nops admin admin-admin-admin-1"


def bearer(key: str) -> dict[str, bytes]:
    return {"authorization": f"Bearer {key}".encode()}


@pytest.mark.parametrize(
    "header", [None, "Bearer", "Bearer wrong", f"Basic {SESAME}", f"Bearer {SESAME}2", SESAME, "é", "Bearer shop"]
)
def test_no_route_opens_without_a_key(parts: Parts, header: str | None) -> None:
    headers = {} if header is None else {"authorization": header.encode()}
    with TestClient(parts.app(KeyRing(parse_keys(RING, "test")))) as client:
        for method, path in ROUTES:
            answer = client.request(method, path, headers=headers, content=b"not even json")
            assert (answer.status_code, answer.json()["error"]["code"]) == (401, "unauthorized")
            assert answer.headers["www-authenticate"] == "Bearer"
        assert client.get("/healthz").status_code == client.get("/openapi.json").status_code == 200


def test_each_key_opens_what_its_role_reaches(parts: Parts) -> None:
    with TestClient(parts.app(KeyRing(parse_keys(RING, "test")))) as client:
        for key, metrics in ((SESAME, 403), ("write-write-write-1", 403), ("admin-admin-admin-1", 200)):
            headers = bearer(key)
            assert client.post("/v1/recommend", json={"user_id": "u1"}, headers=headers).status_code == 200
            assert client.get("/v1/model", headers=headers).status_code == 200
            answer = client.get("/metrics", headers=headers)
            assert answer.status_code == metrics
            assert answer.status_code == 200 or answer.json()["error"]["code"] == "forbidden"
        assert "security" in client.get("/openapi.json").json()["paths"]["/v1/model"]["get"]


def test_keys_rotate_with_their_file_and_a_broken_file_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    path.write_text("shop read the-first-key-of-the-shop")
    ring = KeyRing((), str(path))

    def rewrite(text: str) -> None:
        path.write_text(text)
        os.utime(path, ns=(ring_time(), ring_time()))
        ring._next_check = 0.0  # a second later

    times = iter(range(1, 100))

    def ring_time() -> int:
        return next(times) * 10**9

    assert ring.find(b"the-first-key-of-the-shop") is not None
    rewrite("shop read the-next-key-of-the-shop # rotated\nops admin a-key-for-the-operators")
    assert ring.find(b"the-first-key-of-the-shop") is None
    assert {name for key in (b"the-next-key-of-the-shop", b"a-key-for-the-operators")
            if (found := ring.find(key)) for name in [found.name]} == {"shop", "ops"}  # fmt: skip
    rewrite("shop read short")
    assert ring.find(b"the-next-key-of-the-shop") is not None
    path.unlink()
    ring._next_check = 0.0
    assert ring.find(b"the-next-key-of-the-shop") is not None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "found 0 keys"),
        ("# nothing", "found 0 keys"),
        ("shop read too-short", "line 1: found a key of 9 characters"),
        ("\nshop reader secret-secret-secret", "line 2: found 3 words"),
        ("shop read secret-secret-secret and more", "found 5 words"),
        ("shop secret-secret-secret", "found 2 words"),
        ("a read secret-secret-secret; a admin secret-secret-secret2", r"names \['a', 'a'\]"),
    ],
)
def test_keys_that_cannot_be_used_are_named_by_line_and_never_shown(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message) as raised:
        parse_keys(text, "test")
    assert "secret" not in str(raised.value)


def test_a_lone_key_may_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLMREC_TEST_KEY", "sesame-open-yourself")
    (key,) = keys_in_environment("LLMREC_TEST_KEY")
    assert (key.name, key.role) == ("default", "admin")
    assert "sesame" not in repr(key)


def test_a_key_that_is_not_set_stops_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LLMREC_TEST_KEY", raising=False)
    with pytest.raises(ValueError, match="LLMREC_TEST_KEY is unset"):
        keys_in_environment("LLMREC_TEST_KEY")


def test_other_origins_are_closed_out_unless_they_are_named(parts: Parts) -> None:
    asking = {"origin": "https://shop.example", "access-control-request-method": "POST"}
    named = parts.config.model_copy(update={"cors_origins": ["https://shop.example"]})
    opened = Parts(parts.storage, parts.encoder, parts.retriever, parts.ranker, named)
    ring = KeyRing(parse_keys(RING, "test"))
    with TestClient(parts.app(ring)) as closed, TestClient(opened.app(ring)) as client:
        assert "access-control-allow-origin" not in closed.options("/v1/recommend", headers=asking).headers
        preflight = client.options("/v1/recommend", headers=asking)
        assert (preflight.status_code, preflight.headers["access-control-allow-origin"]) == (200, asking["origin"])
        other = client.options("/v1/recommend", headers=asking | {"origin": "https://evil.example"})
        assert "access-control-allow-origin" not in other.headers
        assert client.post("/v1/recommend", json={}, headers={"origin": asking["origin"]}).status_code == 401


def test_the_documentation_asks_no_other_host(parts: Parts) -> None:
    with TestClient(parts.app()) as client:
        page = client.get("/docs").text
        assert "://" not in page.replace(str(client.base_url), "")
        for name in ("swagger-ui-bundle.js", "swagger-ui.css"):
            assert f"/docs/static/{name}" in page
            assert client.get(f"/docs/static/{name}").status_code == 200
        assert client.get("/docs/static/../../keys").status_code == 404
