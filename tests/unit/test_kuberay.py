"""The KubeRay manifests against what they hand on: Serve's schema, our builder, the server's settings, cluster.yaml."""

import shlex
from pathlib import Path
from typing import Any

import pytest
import ray
import yaml
from ray.serve.schema import ServeDeploySchema

from jobs.serve import SETTINGS
from llmrec.config import load_config
from serve_app.app import BuildArgs

ROOT = Path(__file__).resolve().parents[2]
IN_IMAGE = "/home/ray/llmrec/"  # the Dockerfile's WORKDIR


def manifest(name: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((ROOT / "deploy" / "kuberay" / f"{name}.yaml").read_text())
    return found


SERVICE, JOB = manifest("rayservice"), manifest("rayjob")
CLUSTERS = {"rayservice": SERVICE["spec"]["rayClusterConfig"], "rayjob": JOB["spec"]["rayClusterSpec"]}


def containers(cluster: dict[str, Any]) -> list[dict[str, Any]]:
    groups = [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]
    return [container for group in groups for container in group["template"]["spec"]["containers"]]


def test_the_embedded_application_is_one_that_serve_and_our_builder_take() -> None:
    schema = ServeDeploySchema.model_validate(yaml.safe_load(SERVICE["spec"]["serveConfigV2"]))
    (application,) = schema.applications
    assert application.import_path == "serve_app.app:build"
    args = BuildArgs.model_validate(application.args)
    config = load_config(args.config.replace(IN_IMAGE, f"{ROOT}/"), list(args.overrides))
    assert config.serving.api_keys_file == "/etc/llmrec/keys"  # open to the network: never without a key
    longest = config.serving.body_timeout_s + config.serving.request_timeout_s
    assert schema.http_options.request_timeout_s and schema.http_options.request_timeout_s > longest


def test_every_node_gets_the_settings_that_jobs_serve_gives_its_own() -> None:
    for container in containers(CLUSTERS["rayservice"]):
        assert {setting["name"]: setting["value"] for setting in container["env"]} == SETTINGS


@pytest.mark.parametrize("name", CLUSTERS)
def test_one_version_of_ray_everywhere_no_work_on_the_head_and_a_gpu_for_the_encoder(name: str) -> None:
    cluster = CLUSTERS[name]
    image = (ROOT / "deploy/kuberay/Dockerfile").read_text()
    assert cluster["rayVersion"] == ray.__version__
    assert f"FROM rayproject/ray:{ray.__version__}-" in image
    assert yaml.safe_load((ROOT / "cluster.yaml").read_text())["docker"]["image"] in image
    assert cluster["headGroupSpec"]["rayStartParams"]["num-cpus"] == "0"
    assert any("nvidia.com/gpu" in c["resources"]["limits"] for c in containers(cluster))
    assert all(c["resources"]["limits"] == c["resources"]["requests"] for c in containers(cluster))
    assert all(g["minReplicas"] <= g["replicas"] <= g["maxReplicas"] for g in cluster["workerGroupSpecs"])


def test_the_job_runs_a_pipeline_whose_configuration_loads() -> None:
    words = shlex.split(JOB["spec"]["entrypoint"])
    assert words[:4] == ["python", "-m", "jobs.pipeline", "--config"]
    config = load_config(words[4].replace(IN_IMAGE, f"{ROOT}/"), words[5:])
    assert config.storage == "s3://my-bucket/llmrec"
    assert config.corpus.reviews == ("s3://my-bucket/reviews/*.gz",)
