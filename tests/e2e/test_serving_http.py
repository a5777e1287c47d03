"""The application on a real Ray cluster: real HTTP, real vLLM encoder, bundles trained on what the demo left."""

import json
import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import yaml
from factories.demo import QUICKSTART, TINY, Demo
from factories.engine import BF16_COSINE, TEXTS, cosines, reference_tokens
from factories.load import Load
from factories.tuning import sample_corpus, tuning_config
from safetensors.numpy import load, save

from jobs.serve import free_port
from llmrec.bundle import Bundle, last_time, make_probes
from llmrec.bundle_files import write_digests
from llmrec.client import Client
from llmrec.config import EncoderConfig, load_config
from llmrec.encoding import encoder_fingerprint, load_vectors, review_text
from llmrec.encoding.encoders.model_files import model_folder
from llmrec.encoding.encoders.tokens import Tokenizer
from llmrec.files import read_json, write_json
from llmrec.pipeline import run_pipeline
from llmrec.registry import publish
from llmrec.schema import C
from llmrec.storage import Artifact, Storage
from llmrec.tuning import tune, with_encoder
from llmrec.tuning.gradients import Passes, encode
from llmrec.tuning.network import load_network
from llmrec.workers.process_group import ProcessGroup

pytestmark = pytest.mark.timeout(900)
NAME = "small"
SETTINGS = {
    "name": NAME,
    "training": {"workers": 0, "retrievers": {"two_tower": {"epochs": 1}}, "ranker": {"name": "dcnv2", "epochs": 1}},
    "serving": {"layout": "composed", "port": 0, "follow_seconds": 0.2, "replica_cpus": 0.1,
                "max_body_bytes": 200_000, "retrieve": 30, "max_k": 30, "text_timeout_s": 20,
                "max_ongoing_requests": 8, "max_queued_requests": 8,
                # Calls are repeated for two thirds of it; on busy cores a new replica takes longer than 20 s to start.
                "request_timeout_s": 100},
}  # fmt: skip


@dataclass
class Server:
    """A running application and the artifacts behind it."""

    url: str
    storage: Storage
    corpus: Artifact
    embeddings: Artifact
    config: Path

    def bundle(self, version: str) -> Artifact:
        found = self.storage.find("bundle", version)
        assert found is not None
        return found

    def model(self) -> dict[str, Any]:
        answer: dict[str, Any] = httpx.get(f"{self.url}/v1/model").json()
        return answer

    def post(self, path: str, **request: Any) -> dict[str, Any]:
        answer = httpx.post(f"{self.url}{path}", json=request, timeout=60)
        assert answer.status_code == 200, answer.text
        body: dict[str, Any] = answer.json()
        return body

    def point_at(self, version: str) -> None:
        """Let CURRENT name a bundle without asking whether it is any good."""
        path = f"{self.storage.root}/registry/{NAME}/CURRENT"
        pointer = read_json(path)
        write_json(path, pointer | {"id": version, "bundle": f"bundle/{version}"})

    def await_(self, told: Callable[[dict[str, Any]], bool], timeout_s: float = 90) -> None:
        deadline = time.monotonic() + timeout_s
        while not told(model := self.model()):
            assert time.monotonic() < deadline, model
            time.sleep(0.05)


@pytest.fixture(scope="module")
def tuned(tmp_path_factory: pytest.TempPathFactory) -> EncoderConfig:
    """The same encoder after three steps of tuning."""
    root = tmp_path_factory.mktemp("tuned")
    storage = Storage(str(root))
    config = tuning_config(
        model_folder("default"), root, method="lora", steps=3, batch_size=4, validate_every=3, validation_share=0,
        learning_rate=1e-2,
    )  # fmt: skip
    return with_encoder(config, tune(config, storage, sample_corpus(storage))).encoding.encoder


@pytest.fixture(scope="module")
def server(
    demo: Demo, tuned: EncoderConfig, ray_cluster: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    from ray import serve

    from serve_app.app import BuildArgs, build

    path, storage = tmp_path_factory.mktemp("served") / "small.yaml", Storage(str(demo.root))
    quickstart = load_config(QUICKSTART, [*TINY, f"storage={demo.root}"])
    path.write_text(yaml.safe_dump(quickstart.model_dump(mode="json", exclude_unset=True) | SETTINGS))
    run = run_pipeline(load_config(path), storage, lambda *_: None, until="train")
    assert run.artifacts["embeddings"].reused and run.artifacts["examples.test"].reused
    first = run.artifacts["bundle.text"]
    publish(storage, first, NAME)
    make_versions(storage, first, tuned)
    port = free_port("127.0.0.1", 0)
    serve.start(http_options={"host": "127.0.0.1", "port": port})
    serve.run(build(BuildArgs(config=str(path))), name=NAME, route_prefix="/")
    yield Server(f"http://127.0.0.1:{port}", storage, run.artifacts["corpus"], run.artifacts["embeddings"], path)
    serve.shutdown()


def make_versions(storage: Storage, first: Artifact, tuned: EncoderConfig) -> None:
    """Beside the trained bundle: two good ones of other weights, one of a tuned encoder, four that must not serve."""

    def each(change: Callable[[np.ndarray], np.ndarray]) -> Callable[[bytes], bytes]:
        def changed(array: np.ndarray) -> np.ndarray:
            return np.array(change(array), order="C")  # not ascontiguousarray, which gives scalars an axis

        return lambda data: save({name: changed(array) for name, array in load(data).items()})

    another_encoder = {"encoder": tuned.model_dump(mode="json"), "encoder_fingerprint": encoder_fingerprint(tuned)}
    ranker, towers = "models/ranker/weights.safetensors", "models/retriever.two_tower/weights.safetensors"
    for version, file, change, more in (
        ("good-b", ranker, each(lambda a: np.float32(1.5) * a), None),
        ("good-c", ranker, each(lambda a: np.float32(-1) * a), None),
        ("good-other-encoder", ranker, lambda data: data, another_encoder),
        ("cut-off", ranker, lambda data: data[: len(data) // 2], None),
        ("not-numbers", ranker, each(lambda a: np.full_like(a, np.nan)), None),
        ("too-narrow", towers, each(lambda a: a[:3] if a.ndim else a), None),
        ("unmatched", towers, each(lambda a: np.float32(2) * a), None),
    ):
        with storage.build("bundle", version, module="llmrec.bundle", config={}, parents={}) as writer:
            source = Path(first.uri("bundle.json")).parent
            shutil.copytree(source, writer.folder)
            target = Path(writer.folder) / file
            target.write_bytes(change(target.read_bytes()))
            settings = Path(writer.folder) / "bundle.json"
            settings.write_text(json.dumps(json.loads(settings.read_text()) | {"id": version} | (more or {})))
            write_digests(writer.folder)
            if version.startswith("good"):  # whose probes tell its own answers
                made = Bundle.load(writer.folder)
                probes = {k: np.ascontiguousarray(v) for k, v in make_probes(made.models, made.context).items()}
                (Path(writer.folder) / "probes.safetensors").write_bytes(save(probes))
                write_digests(writer.folder)


def items(answer: dict[str, Any]) -> list[str]:
    return [item["item_id"] for item in answer["items"]]


def offline(artifact: Artifact) -> Callable[[dict[str, Any]], list[str]]:
    """What the bundle answers without a server, for a known user."""
    recommender = Bundle.load(artifact.root).recommender(30)
    history, now = recommender.history, np.array([last_time(recommender.history)])

    def answer(request: dict[str, Any]) -> list[str]:
        state = history.users_at(history.user_rows([request["user_id"]]), now)
        rows, _ = recommender.recommend(state, now, request.get("k", 10))
        return [history.item_ids[row] for row in rows[0] if row >= 0]

    return answer


def test_the_server_answers_as_the_recommender_does_offline(server: Server) -> None:
    first = server.model()["bundle"]
    recommender = Bundle.load(server.bundle(first).root).recommender(30)
    history, now = recommender.history, np.array([last_time(recommender.history)])
    for user in history.user_ids[1:40:4]:
        state = history.users_at(history.user_rows([user]), now)
        rows, scores = recommender.recommend(state, now, 10)
        answer = server.post("/v1/recommend", user_id=user)
        listed = rows[0] >= 0  # an eager shopper may have fewer than ten items left
        assert items(answer) == [history.item_ids[row] for row in rows[0][listed]]
        np.testing.assert_allclose([i["score"] for i in answer["items"]], scores[0][listed], rtol=1e-4, atol=1e-4)


def test_fresh_text_agrees_with_the_vector_of_the_job(server: Server) -> None:
    reviews = server.corpus.table("reviews").slice(0, 24)
    texts = [review_text(r[C.TITLE], r[C.TEXT]) for r in reviews.to_pylist()]
    stored, present = load_vectors(server.storage, server.embeddings, "review", reviews[C.REVIEW_ID].to_pylist())
    answer = server.post("/v1/encode", texts=[t for t, here in zip(texts, present, strict=True) if here])
    fresh, job = np.array(answer["vectors"]), stored[present]
    cosine = (fresh * job).sum(1) / np.linalg.norm(fresh, axis=1) / np.linalg.norm(job, axis=1)
    assert len(cosine) > 10
    assert cosine.min() >= 0.9999
    assert answer["encoder"] == server.embeddings.manifest.info["fingerprint"] == server.model()["encoder"]
    assert min(answer["n_tokens"]) > 0


def test_a_served_vector_is_that_of_plain_transformers_whatever_else_is_asked(server: Server) -> None:
    config = Bundle.load(server.bundle(server.model()["bundle"]).root).encoder
    texts = [*TEXTS, "one word after another " * 200]
    answer = server.post("/v1/encode", texts=texts)
    together = np.array(answer["vectors"])
    alone = np.array([server.post("/v1/encode", texts=[text])["vectors"][0] for text in reversed(texts)])[::-1]
    expected = np.stack([t.mean(axis=0) for t in reference_tokens(model_folder("default"), texts, config.max_tokens)])
    assert together.shape == expected.shape == (len(texts), answer["dim"])
    assert min(cosines(together, expected).min(), cosines(together, alone).min()) >= BF16_COSINE
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1, rtol=1e-5)
    assert answer["n_tokens"][-1] == config.max_tokens
    assert answer["n_unknown"][3] > 0 == answer["n_unknown"][0]


def test_words_of_somebody_new_reach_the_ranking_through_the_encoder(server: Server) -> None:
    reviews = server.corpus.table("reviews").slice(0, 60).to_pylist()
    texts = [review_text(r[C.TITLE], r[C.TEXT]) for r in reviews]
    answers = [server.post("/v1/recommend", text=text, k=5) for text in dict.fromkeys(t for t in texts if t)]
    assert {answer["basis"] for answer in answers} == {"text"}
    assert len({tuple(items(answer)) for answer in answers}) > 1


def test_the_client_asks_the_real_server_and_reasons_add_up(server: Server) -> None:
    with Client(server.url) as client:
        found = client.recommend(text="It must be quiet. I want it compact!", k=5, reasons=True)
        assert found.basis == "text" and len(found.items) == 5
        for item in found.items:
            assert item.reasons is not None and item.reasons["because"]
            total = sum(item.reasons["contributions"].values())
            assert total == pytest.approx(item.score - item.reasons["baseline"], abs=2e-3)
        texts = [f"number {n}" for n in range(70)]  # more than one request may hold
        vectors = np.array(client.encode(texts))
        assert len(vectors) == 70 and np.allclose(vectors[66], client.encode(texts[66:67])[0], atol=1e-4)
        users = server.corpus.table("reviews")[C.USER_ID].slice(0, 6).to_pylist()
        answers = list(client.recommend_many({"user_id": user} for user in users))
        assert [a.basis for a in answers] == ["history"] * 6


def test_probes_documents_and_limits_over_real_http(server: Server) -> None:
    assert httpx.get(f"{server.url}/healthz").json() == {"status": "ok"}
    assert httpx.get(f"{server.url}/readyz").json()["checks"] == {"encoder": "ok", "retriever": "ok", "ranker": "ok"}
    assert "swagger" in httpx.get(f"{server.url}/docs").text
    assert "/v1/recommend" in httpx.get(f"{server.url}/openapi.json").json()["paths"]
    item = server.model()["card"]["variant"]
    assert item == "text"
    huge = httpx.post(f"{server.url}/v1/recommend", content=b"[" * 5_000_000, timeout=60)
    assert huge.status_code == 413
    long = httpx.post(f"{server.url}/v1/recommend", json={"text": "琴 🎻\x00" * 25_000}, timeout=60)
    assert long.status_code == 413
    assert httpx.post(f"{server.url}/v1/recommend", json={"text": "x" * 100_000}).status_code == 422
    assert httpx.get(f"{server.url}/v1/items/nowhere/similar").status_code == 404


def test_publish_and_roll_back_under_load_lose_no_request_and_mix_no_versions(server: Server) -> None:
    first = server.model()["bundle"]
    users = Bundle.load(server.bundle(first).root).history.user_ids[1:9]
    requests = [{"user_id": user, "k": 8} for user in users]
    expected = {v: offline(server.bundle(v)) for v in (first, "good-b", "good-c")}
    answers = {(v, r["user_id"]): ask(r) for v, ask in expected.items() for r in requests}
    with Load(f"{server.url}/v1/recommend", requests) as load:
        load.wait_for(10)
        for version in ("good-b", first, "good-c", first):
            publish(server.storage, server.bundle(version), NAME)
            server.await_(lambda model, v=version: model["bundle"] == v)
            load.wait_for(20)
    assert {reply.status for reply in load.replies} == {200}
    assert {reply.body["bundle"] for reply in load.replies} == {first, "good-b", "good-c"}
    mixed = [r for r in load.replies if items(r.body) != answers[r.body["bundle"], r.request["user_id"]]]
    assert not mixed, mixed[:2]


def test_a_bundle_of_a_tuned_encoder_is_published_and_taken_back_under_load(
    server: Server, tuned: EncoderConfig
) -> None:
    """Two real engines side by side; who writes meets the bundle of the encoder that read the words."""
    first, fingerprint = (model := server.model())["bundle"], model["encoder"]
    reviews = [text for text in server.corpus.table("reviews", [C.TEXT])[C.TEXT].to_pylist() if text][:40]
    spoken = [{"text": f"something warm and quiet {n}"} for n in range(40)]
    with Load(f"{server.url}/v1/recommend", [*spoken, {"user_id": "nobody"}], clients=2) as load:
        load.wait_for(4)
        for version in ("good-other-encoder", first):
            publish(server.storage, server.bundle(version), NAME)
            server.await_(lambda model, v=version: model["bundle"] == v)
            server.await_(lambda _, v=version: (server.post("/v1/encode", texts=["x"])["encoder"] == fingerprint)
                          == (v == first))  # fmt: skip
            if version != first:
                check_tuned(np.array(server.post("/v1/encode", texts=reviews)["vectors"]), tuned, reviews)
            load.wait_for(6)
    assert {reply.status for reply in load.replies} == {200}
    texts = [reply.body for reply in load.replies if "text" in reply.request]
    assert {answer["bundle"] for answer in texts} == {first, "good-other-encoder"}
    # a text that comes while the new engine loads may be answered without, or without a part: then the answer says so
    assert {a["basis"] for a in texts if a["reason"] is None} == {"text"}
    assert {a["reason"] for a in texts} <= {None, "encoder_unavailable"}
    assert texts[-1]["basis"] == "text"


def check_tuned(served: np.ndarray, tuned: EncoderConfig, texts: list[str]) -> None:
    """vLLM makes the vectors that the trainer would make, and not those of the encoder as it came."""
    folder = Path(tuned.model)
    ids = Tokenizer(folder, tuned.max_tokens)(texts).ids
    vectors, frozen = (
        encode(load_network(tuned, place, "float32", False), ids, Passes(ProcessGroup(), 8)).numpy()
        for place in (folder, model_folder("default"))
    )
    assert np.isfinite(served).all() and (served * vectors).sum(1).min() >= BF16_COSINE
    assert (frozen * vectors).sum(1).max() < 0.999


@pytest.mark.parametrize("bad", ["cut-off", "not-numbers", "too-narrow", "unmatched", "absent"])
def test_a_bad_bundle_is_refused_and_the_old_one_serves_on(server: Server, bad: str) -> None:
    before, replicas = server.model()["bundle"], replica_pids()
    with Load(f"{server.url}/v1/recommend", [{"user_id": "nobody"}], clients=1) as load:
        server.point_at(bad)
        server.await_(lambda model: bad in model["refused"])
        load.wait_for(5)
    server.point_at(before)
    assert {(r.status, r.body["bundle"]) for r in load.replies} == {(200, before)}
    assert replica_pids() == replicas


def replica_pids() -> dict[str, int]:
    """Process ids of the replicas, by deployment."""
    from ray.serve.context import _get_global_client

    deployments = _get_global_client().get_serve_details()["applications"][NAME]["deployments"]
    return {
        name: replica["pid"]
        for name, deployment in deployments.items()
        for replica in deployment["replicas"]
        if replica["state"] == "RUNNING"
    }


def kill(part: str) -> None:
    """SIGKILL a replica and wait until another one runs."""
    before = replica_pids()[part]
    os.kill(before, signal.SIGKILL)
    deadline = time.monotonic() + 60
    while replica_pids().get(part, before) == before:
        assert time.monotonic() < deadline, f"{part} did not come back"
        time.sleep(0.2)


@pytest.mark.slow  # a kill
def test_a_killed_ranker_costs_no_request(server: Server) -> None:
    with Load(f"{server.url}/v1/recommend", [{"user_id": "nobody"}, {"liked_items": ["x"]}]) as load:
        load.wait_for(5)
        kill("Ranker")
        load.wait_for(5)
    assert {reply.status for reply in load.replies} == {200}


def test_overload_is_429_with_retry_after_and_passes(server: Server) -> None:
    user = Bundle.load(server.bundle(server.model()["bundle"]).root).history.user_ids[1]
    with Load(f"{server.url}/v1/recommend", [{"user_id": user}], clients=60) as load:
        load.wait_for(150)
    refused = [reply for reply in load.replies if reply.status == 429]
    assert {reply.status for reply in load.replies} == {200, 429}
    assert all(reply.headers["retry-after"] == "1" for reply in refused)
    accepted = [reply.seconds for reply in load.replies if reply.status == 200]
    assert np.percentile(accepted, 99) < 10
    server.post("/v1/recommend", user_id=user)


@pytest.mark.slow
def test_replicas_killed_every_five_seconds_cost_no_request(server: Server) -> None:
    user = Bundle.load(server.bundle(server.model()["bundle"]).root).history.user_ids[1]
    with Load(f"{server.url}/v1/recommend", [{"user_id": user}, {}, {"user_id": user}]) as load:
        for part in ("Ranker", "Retriever", "Encoder", "Retriever", "Ranker"):
            started = time.monotonic()
            kill(part)
            time.sleep(max(0.0, 5 - (time.monotonic() - started)))
    assert len(load.replies) > 100
    assert {reply.status for reply in load.replies} == {200}


@pytest.mark.slow
def test_a_changed_user_config_swaps_under_load_and_a_bad_one_changes_nothing(server: Server) -> None:
    from ray.serve.context import _get_global_client
    from ray.serve.schema import ServeDeploySchema

    first = server.model()["bundle"]
    order = {"follow_seconds": 0.0}
    application = {"name": NAME, "route_prefix": "/", "import_path": "serve_app.app:build",
                   "args": {"config": str(server.config), "overrides": "serving.follow_seconds=0"}}  # fmt: skip

    def deploy(version: str) -> None:  # what `serve deploy FILE.yaml` sends
        parts = [
            {"name": part, "user_config": order | {"bundle": version}} for part in ("Encoder", "Retriever", "Ranker")
        ]
        config = ServeDeploySchema.model_validate({"applications": [application | {"deployments": parts}]})
        _get_global_client().deploy_apps(config, _blocking=True)

    deploy(first)
    replicas = replica_pids()
    with Load(f"{server.url}/v1/recommend", [{"user_id": "nobody"}]) as load:
        for version in ("good-b", "cut-off", "good-c", first):
            deploy(version)
            if version == "cut-off":
                server.await_(lambda model: "cut-off" in model["refused"])
            else:
                server.await_(lambda model, v=version: model["bundle"] == v)
            load.wait_for(10)
    assert {reply.status for reply in load.replies} == {200}
    assert {reply.body["bundle"] for reply in load.replies} == {first, "good-b", "good-c"}
    assert replica_pids() == replicas
