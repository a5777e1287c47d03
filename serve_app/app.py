"""`serve_app.app:build`: the application, for `serve run`, `serve deploy` and `python -m jobs.serve`.

serve run serve_app.app:build config=configs/quickstart.yaml
"""

import logging
from dataclasses import asdict, replace
from functools import partial
from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from ray import serve
from ray.serve import Application
from ray.serve.config import BackpressureConfig
from ray.serve.schema import LoggingConfig

from llmrec.config import RunConfig, ServingConfig, load_config
from llmrec.config.serving.replicas import ResourcesConfig
from llmrec.exposures.paths import events_path
from llmrec.live.event_log import in_database
from llmrec.live_bundle import besides
from llmrec.registry import current
from llmrec.storage import Storage
from serve_app.deployments.encoder import EncoderDeployment
from serve_app.deployments.ingress import IngressDeployment
from serve_app.deployments.stages import RankerDeployment, RecommenderDeployment, RetrieverDeployment
from serve_app.encoders import needed_encoder, open_encoders
from serve_app.hot_swap import ServedVersion
from serve_app.intake import IntakeSettings
from serve_app.middleware.keys import keys_in_environment, open_key_ring
from serve_app.model import LogFile, load_model, open_repository
from serve_app.operator import ConsoleSettings
from serve_app.trials import ExposureSettings
from serve_app.trials.bundles import arms_bundles, with_variants

logger = logging.getLogger(__name__)
#: More than anything sends: the ingress itself bounds what computes, and health is answered whatever is under way.
INGRESS_SLOTS = 10_000
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


class BuildArgs(BaseModel):
    """What `build` takes; from a command line all of it is text."""

    model_config = ConfigDict(extra="forbid")
    config: str = Field(description="the run's YAML file")
    storage: str | None = Field(None, description="where the artifacts lie, instead of the file's `storage`")
    name: str | None = Field(None, description="name in the registry, instead of the run's")
    overrides: str | list[str] = Field([], description="SECTION.KEY=VALUE, several separated by spaces")


def build(args: BuildArgs) -> Application:
    """The application that serves what the registry's CURRENT names, once that bundle has been loaded and has answered.

    Raises ConfigError, FileNotFoundError where nothing is published, or ValueError for a bundle that must not serve;
    whatever is running then runs on.
    """
    overrides = args.overrides.split() if isinstance(args.overrides, str) else args.overrides
    config = load_config(args.config, overrides)
    storage, name = Storage(args.storage or config.storage), args.name or config.name
    version = str(current(storage, name)["id"])
    config = config.model_copy(update={"serving": with_variants(storage, version, config.serving)})
    beside = arms_bundles(storage, load_model(storage, version, config.serving.retrieve), config.serving)
    needed_encoder(storage, version, config.serving)
    open_key_ring(config.serving, keys_in_environment(config.serving.api_keys_env))  # what is wrong stops the start
    _warn_if_open(config.serving)
    if config.serving.live.enabled:
        refuse_several_machines(config.serving)
    return compose(config, ServedVersion(version, config.serving.follow_seconds, beside), storage.root, name)


def compose(config: RunConfig, served: ServedVersion, root: str, name: str) -> Application:
    """The deployments and how they hang together. `root` must be seen by every node that runs a replica."""
    serving = config.serving
    intake = _intake(config, root, name, served.bundle)
    exposures = ExposureSettings.of(serving, intake)
    shown = exposures.path if exposures else None
    log = LogFile(intake.path, serving.live.max_events, serving.live.pull_ms / 1000, shown) if intake else None
    repository = partial(open_repository, root, name, serving.retrieve, serving.approximate, log)
    encoder = _stage(
        EncoderDeployment, serving, serving.encoder_replicas, replace(served, beside=()), gpus=serving.encoder_gpus
    ).bind(
        partial(open_encoders, root, name, serving),
        serving.encoder_threads,
        serving.batch_size,
        serving.batch_wait_ms / 1000,
        serving.remembered_texts,
    )
    retriever, ranker = _stages(serving, served, repository)
    ingress = _deployment(IngressDeployment, serving, serving.ingress_replicas).options(
        max_ongoing_requests=INGRESS_SLOTS, logging_config=LoggingConfig()
    )
    return ingress.bind(
        encoder, retriever, ranker, serving, keys_in_environment(serving.api_keys_env), intake, exposures,
        ConsoleSettings(root, name, serving.trust_remote_code),
    )  # fmt: skip


def _intake(config: RunConfig, root: str, name: str, bundle: str) -> IntakeSettings | None:
    """Where live events go and how they are read; None where they are off. Raises ValueError where they cannot be."""
    live = config.serving.live
    if not live.enabled:
        return None
    if config.corpus.repeats == "last":
        raise ValueError(
            "serving.live: found corpus.repeats 'last', of which live events know nothing: the state would not be that "
            "of the next corpus; expected 'keep'"
        )
    policy = config.corpus.event_repeats.get(config.corpus.outcome.kind, "keep")
    if policy != "keep":
        raise ValueError(
            f"serving.live: found corpus.event_repeats {policy!r} of the outcome, {config.corpus.outcome.kind}: live "
            "events know nothing of visits; expected 'keep'"
        )
    if live.path is None and "://" in root:
        raise ValueError(
            f"serving.live.path: found none beside the storage {root!r}; expected a file on a local disk of the "
            "machine that serves, or postgresql://HOST/DATABASE"
        )
    return IntakeSettings(events_path(config, root, name), live, config.corpus, besides(f"{root}/bundle/{bundle}"))


def refuse_several_machines(serving: ServingConfig) -> None:
    """Raise ValueError where several nodes of the cluster can run something and a log is a file of one machine."""
    import ray

    files = {
        "serving.live.path": not in_database(serving.live.path or ""), "serving.exposures": serving.exposures.enabled,
    }  # fmt: skip
    alone = [setting for setting, is_file in files.items() if is_file]
    nodes = (
        [node for node in ray.nodes() if node["Alive"] and node["Resources"].get("CPU")] if ray.is_initialized() else []
    )
    if alone and len(nodes) > 1:
        raise ValueError(
            f"{' and '.join(alone)}: found {len(nodes)} nodes, expected one: the log is a SQLite file, which the "
            "replicas of other machines cannot follow. Serve on one machine, give "
            "serving.live.path=postgresql://HOST/DATABASE (exposures.enabled=false: what was shown has no log in "
            "a database yet), or set serving.live.enabled=false"
        )


def _stages(serving: ServingConfig, served: ServedVersion, repository: Any) -> tuple[Application, Application]:
    """Retriever and ranker: apart, or twice the one deployment that is both."""
    if serving.layout == "fused":
        both = _stage(RecommenderDeployment, serving, serving.recommender_replicas, served).bind(repository)
        return both, both
    return (
        _stage(RetrieverDeployment, serving, serving.retriever_replicas, served).bind(repository),
        _stage(RankerDeployment, serving, serving.ranker_replicas, served).bind(repository),
    )


def _stage(
    kind: type, serving: ServingConfig, replicas: int, served: ServedVersion, gpus: float = 0
) -> serve.Deployment:
    return _deployment(kind, serving, replicas, gpus, user_config=asdict(served))


def _deployment(kind: type, serving: ServingConfig, replicas: int, gpus: float = 0, **options: Any) -> serve.Deployment:
    """Bounded queues, and 429 with Retry-After beyond them; updates start new replicas before they stop old ones."""
    name = kind.__name__.removesuffix("Deployment")
    return serve.deployment(
        kind,
        name=name,
        **_replicas(serving, name.lower(), replicas),
        ray_actor_options=_resources(serving, name.lower(), gpus),
        max_ongoing_requests=serving.max_ongoing_requests,
        max_queued_requests=serving.max_queued_requests,
        backpressure_config=BackpressureConfig(status_code=429, retry_after_s=serving.retry_after_s),
        max_surge_percent=100,
        health_check_period_s=serving.health_check_s,
        health_check_timeout_s=serving.health_check_timeout_s,
        graceful_shutdown_timeout_s=serving.request_timeout_s,
        logging_config=LoggingConfig(enable_access_log=False),  # the ingress logs each request, once
        **options,
    )


def _replicas(serving: ServingConfig, part: str, fixed: int) -> dict[str, Any]:
    scaling = {str(name): found for name, found in serving.autoscaling.items()}.get(part)
    return {"autoscaling_config": scaling.model_dump()} if scaling else {"num_replicas": fixed}


def _resources(serving: ServingConfig, part: str, gpus: float) -> dict[str, float]:
    own = {str(name): found for name, found in serving.resources.items()}.get(part, ResourcesConfig())
    reserved = {
        "num_cpus": serving.replica_cpus if own.cpus is None else own.cpus,
        "num_gpus": gpus if own.gpus is None else own.gpus,
    }
    return reserved if own.memory_gib is None else reserved | {"memory": own.memory_gib * 2**30}


def _warn_if_open(serving: ServingConfig) -> None:
    if serving.host not in _LOOPBACK and serving.api_keys_env is None and serving.api_keys_file is None:
        logger.warning(
            "serving on %s without a key: set serving.api_keys_env or api_keys_file, or keep a gateway before it",
            serving.host,
        )


def key_names(serving: ServingConfig) -> list[str]:
    """The keys that open /v1, as `name (role)`; none where it is open."""
    ring = open_key_ring(serving, keys_in_environment(serving.api_keys_env))
    return ring.names() if ring else []
