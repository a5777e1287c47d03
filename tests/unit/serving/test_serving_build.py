"""`serve_app.app:build` and `jobs.serve` before any cluster: what is deployed, and what stops a start."""

import argparse
import logging
import socket
from pathlib import Path
from typing import Any

import pytest
from factories.bundles import make_bundle
from pydantic import ValidationError
from ray.serve import Application

from jobs.serve import free_port, serve_job
from llmrec.config import ConfigError, EncoderConfig, RunConfig, ServingConfig
from llmrec.encoding import encoder_fingerprint
from llmrec.files import read_json, write_json
from llmrec.registry import publish
from llmrec.storage import Storage
from serve_app.app import BuildArgs, build

HASHING = EncoderConfig(backend="hashing", model="hashing")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Storage:
    storage = Storage(str(tmp_path_factory.mktemp("store")))
    good = make_bundle(storage, "good", encoder=HASHING, fingerprint=encoder_fingerprint(HASHING))
    publish(storage, good, "demo")
    make_bundle(storage, "alien", encoder=HASHING, fingerprint="another")
    return storage


@pytest.fixture
def config(store: Storage, tmp_path: Path) -> str:
    path = tmp_path / "demo.yaml"
    path.write_text(f"name: demo\nstorage: {store.root}\nserving: {{ranker_replicas: 2}}\n")
    return str(path)


def deployments(app: Application) -> dict[str, Any]:
    """Every deployment of the application, by name."""
    found = {app._bound_deployment.name: app._bound_deployment}
    for argument in app._bound_deployment.init_args:
        if isinstance(argument, Application):
            found |= deployments(argument)
    return found


def test_fused_both_stages_are_one_deployment(config: str) -> None:
    found = deployments(build(BuildArgs(config=config, overrides="serving.recommender_replicas=3")))
    assert found.keys() == {"Ingress", "Encoder", "Recommender"}
    assert found["Recommender"].num_replicas == 3
    assert found["Recommender"].user_config["bundle"] == "good"


def test_the_four_deployments_are_bounded_and_pinned_to_what_current_names(config: str) -> None:
    overrides = "serving.layout=composed serving.max_queued_requests=7 serving.batch_size=3 "
    overrides += "serving.health_check_s=3 serving.health_check_timeout_s=5"
    found = deployments(build(BuildArgs(config=config, overrides=overrides)))
    assert found.keys() == {"Ingress", "Encoder", "Retriever", "Ranker"}
    for deployment in found.values():
        assert deployment.max_queued_requests == 7
        assert deployment._deployment_config.backpressure_config.status_code == 429
        assert deployment._deployment_config.max_surge_percent == 100
        looks = deployment._deployment_config
        assert (looks.health_check_period_s, looks.health_check_timeout_s) == (3, 5)
    assert found["Ranker"].num_replicas == 2
    order = {"bundle": "good", "follow_seconds": 5.0, "beside": ()}
    assert all(found[part].user_config == order for part in ("Encoder", "Retriever", "Ranker"))


def test_deployments_scale_and_reserve_each_by_itself(config: str) -> None:
    overrides = [
        "serving.autoscaling={recommender: {min_replicas: 2, max_replicas: 5, target_ongoing_requests: 3}}",
        "serving.resources={encoder: {cpus: 2, gpus: 0.5, memory_gib: 1.5}}",
    ]
    found = deployments(build(BuildArgs(config=config, overrides=overrides)))
    scaling = found["Recommender"]._deployment_config.autoscaling_config
    assert (scaling.min_replicas, scaling.max_replicas, scaling.target_ongoing_requests) == (2, 5, 3)
    assert found["Encoder"]._deployment_config.autoscaling_config is None
    reserved = found["Encoder"].ray_actor_options
    assert (reserved["num_cpus"], reserved["num_gpus"], reserved["memory"]) == (2, 0.5, 1.5 * 2**30)
    assert found["Recommender"].ray_actor_options["num_cpus"] == 0.5


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("serving.autoscaling={ranker: {max_replicas: 2}}", "layout 'fused' does not deploy; expected one of ingress"),
        ("serving.resources={retriever: {cpus: 2}}", "resources: found 'retriever'"),
        ("serving.autoscaling={encoder: {min_replicas: 3, max_replicas: 2}}", "min_replicas 3 must be at most"),
    ],
)
def test_what_is_not_deployed_cannot_scale(setting: str, said: str, config: str) -> None:
    with pytest.raises(ConfigError, match=said):
        build(BuildArgs(config=config, overrides=[setting]))


def test_a_name_that_was_never_published_says_what_to_run(config: str) -> None:
    with pytest.raises(FileNotFoundError, match=r"nothing is published as 'other'; run `python -m jobs\.publish`"):
        build(BuildArgs(config=config, name="other"))


@pytest.mark.parametrize(("version", "message"), [("alien", "expected the same weights"), ("gone", "not found under")])
def test_a_bundle_that_must_not_serve_stops_the_build(store: Storage, config: str, version: str, message: str) -> None:
    path = f"{store.root}/registry/demo/CURRENT"
    pointer = read_json(path)
    assert pointer is not None
    write_json(path, pointer | {"id": version})
    try:
        with pytest.raises(ValueError, match=message):
            build(BuildArgs(config=config))
    finally:
        write_json(path, pointer)


def test_a_key_that_is_not_set_stops_the_build(config: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LLMREC_TEST_KEY", raising=False)
    with pytest.raises(ValueError, match="LLMREC_TEST_KEY is unset"):
        build(BuildArgs(config=config, overrides="serving.api_keys_env=LLMREC_TEST_KEY"))


def test_the_key_itself_is_not_handed_to_ray(config: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLMREC_TEST_KEY", "sesame-open-yourself")
    app = build(BuildArgs(config=config, overrides=["serving.api_keys_env=LLMREC_TEST_KEY"]))
    arguments = repr(deployments(app)["Ingress"].init_args)
    assert "sesame" not in arguments


def test_an_open_server_on_the_network_is_warned_of(config: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "serve_app.app"):
        build(BuildArgs(config=config))
        assert not caplog.records
        build(BuildArgs(config=config, overrides="serving.host=0.0.0.0"))
    assert "without a key" in caplog.text


def test_wrong_arguments_are_named(config: str) -> None:
    with pytest.raises(ValidationError, match="prot"):
        BuildArgs.model_validate({"config": config, "prot": 1})
    with pytest.raises(ConfigError, match="max_queue"):
        build(BuildArgs(config=config, overrides="serving.max_queue=1"))


def test_the_ranker_must_see_all_that_may_be_returned() -> None:
    with pytest.raises(ValidationError, match="retrieve 50 must be at least max_k 60"):
        ServingConfig(retrieve=50, max_k=60)


def test_a_taken_port_says_how_to_take_another() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ValueError, match=rf"cannot listen on 127\.0\.0\.1:{port} .*--port 0"):
            free_port("127.0.0.1", port)
        assert free_port("127.0.0.1", 0) not in (0, port)


def test_detaching_from_a_cluster_that_ends_with_the_process_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    with pytest.raises(ValueError, match="ray start --head"):
        serve_job(RunConfig(), Storage("unused"), argparse.Namespace(detach=True))
