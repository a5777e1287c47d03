"""cluster.yaml against Ray's own schema, and the promises its header makes."""

import json
from pathlib import Path

import jsonschema
import ray.autoscaler
import yaml

CLUSTER = yaml.safe_load((Path(__file__).resolve().parents[2] / "cluster.yaml").read_text())


def test_cluster_yaml_is_valid_by_rays_schema() -> None:
    schema = json.loads((Path(ray.autoscaler.__file__).parent / "ray-schema.json").read_text())
    jsonschema.validate(CLUSTER, schema)


def test_the_head_does_no_work_and_gpus_scale_from_zero() -> None:
    nodes = CLUSTER["available_node_types"]
    assert nodes[CLUSTER["head_node_type"]]["resources"]["CPU"] == 0
    assert nodes["gpu_worker"]["min_workers"] == 0 < nodes["gpu_worker"]["max_workers"]
    assert nodes["cpu_worker"]["min_workers"] >= 1


def test_token_authentication_is_on_everywhere() -> None:
    starts = CLUSTER["head_start_ray_commands"] + CLUSTER["worker_start_ray_commands"]
    assert all("RAY_AUTH_MODE=token" in line for line in starts if "ray start" in line)
