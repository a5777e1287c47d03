"""The Ray cluster that a job runs on, and the check that all its nodes see the storage."""

import logging
import os
import uuid
from pathlib import Path
from typing import Any

from llmrec.files import filesystem, read_bytes, write_bytes
from llmrec.storage import Storage

logger = logging.getLogger("llmrec.jobs")


def storage_root(root: str) -> str:
    """Absolute root of the artifacts. A relative one lies under LLMREC_HOME, else under the current folder.

    A submitted job runs in Ray's throw-away copy of the working folder; there a relative root lies in ~/llmrec.
    """
    if "://" in root or Path(root).expanduser().is_absolute():
        return root
    home = os.environ.get("LLMREC_HOME")
    if home is None and "runtime_resources" in Path.cwd().parts:
        home = str(Path.home() / "llmrec")
        logger.info("storage %r: this job runs from an uploaded copy, so artifacts go to %s/%s", root, home, root)
    return str(Path(home or ".").expanduser().absolute() / root)


def connect(storage: Storage) -> None:
    """Join the cluster that RAY_ADDRESS names (a submitted job's own), else start a local one for this process."""
    os.environ.setdefault("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_worker_niceness", "0")  # Ray's default, 15, lets anything else on the machine go first
    import ray

    if ray.is_initialized():
        return
    if os.environ.get("RAY_ADDRESS"):
        ray.init(logging_level=logging.WARNING)
        check_storage_shared(storage)
        return
    keep_local()
    # A stage's actors may hold two slots while its readers need a third: never fewer than four logical CPUs.
    start_local(max(4, os.cpu_count() or 1), logging_level=logging.WARNING)


def start_local(num_cpus: int, tries: int = 3, **options: Any) -> None:
    """A cluster of this process; tried again where its node outlasts Ray's fixed 30 s, as on a busy machine."""
    import ray

    for left in reversed(range(tries)):
        try:
            ray.init(address="local", num_cpus=num_cpus, include_dashboard=False, **options)
            return
        except Exception as error:  # Ray raises no kind of its own
            if "timed out during startup" not in str(error) or not left:
                raise
            logger.warning("Ray's own node did not start within Ray's 30 s; trying again")
            ray.shutdown()


def keep_local() -> None:
    """A cluster that this process starts listens on loopback alone; it asks for a token, which is Ray's default.

    Ray has a switch for it, named after where it is on by default; without it all ports (GCS, raylet, workers, metrics)
    listen on every interface, whatever address is given. This process has imported Ray already, others read the
    variable.
    """
    from ray._private import ray_constants

    os.environ[ray_constants.ENABLE_RAY_CLUSTERS_ENV_VAR] = "0"
    ray_constants.ENABLE_RAY_CLUSTER = False


def check_storage_shared(storage: Storage) -> None:
    """Raise ValueError naming the nodes that do not see `storage`: their results would be lost."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    nodes = [node for node in ray.nodes() if node["Alive"]]
    probe = f"{storage.root}/.probe-{uuid.uuid4().hex}"
    write_bytes(probe, b"llmrec")
    try:
        look = ray.remote(num_cpus=0)(_sees)
        answers = [
            look.options(scheduling_strategy=NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)).remote(probe)
            for node in nodes
        ]
        blind = [n["NodeManagerAddress"] for n, ok in zip(nodes, ray.get(answers), strict=True) if not ok]
    finally:
        fs, path = filesystem(probe)
        fs.delete_file(path)
    if blind:
        raise ValueError(
            f"storage {storage.root!r} is not seen by {len(blind)} of {len(nodes)} nodes ({', '.join(blind)}): a file "
            "written by this job is missing there. Expected a place that every node reads and writes: set `storage` to "
            "an object store (s3://…, gs://…) or to a shared mount such as NFS."
        )


def _sees(uri: str) -> bool:
    return read_bytes(uri) is not None
