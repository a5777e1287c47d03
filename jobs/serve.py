"""Serve the bundle that the registry's CURRENT names, until Ctrl-C, or (--detach) for as long as the cluster lives."""

import argparse
import asyncio
import importlib
import json
import logging
import os
import signal
import socket
import sys
import threading
import time
from typing import Any

import httpx

from jobs.cli import at_least, main, parser
from jobs.reaper import watch_over_this_process
from llmrec.config import RunConfig, ServingConfig
from llmrec.registry import current
from llmrec.storage import Storage

logger = logging.getLogger("llmrec.jobs")
#: What `serve run` and `serve deploy` take, too. Named, not imported: jobs and serve_app do not know each other.
APPLICATION = "serve_app.app:build"
NAME = "llmrec"
READY_PATIENCE_S = 120
#: How Serve's controller looks after proxies and replicas; it gets them wherever it runs.
CONTROLLER_SETTINGS = {
    "RAY_SERVE_PROXY_HEALTH_CHECK_PERIOD_S": "0.5",  # a dead proxy is replaced after three looks: 3 s instead of 30
    "RAY_SERVE_PROXY_HEALTH_CHECK_TIMEOUT_S": "2",
    "RAY_SERVE_PROXY_GRACEFUL_SHUTDOWN_TIMEOUT_S": "1",  # of one that no longer answers: it is killed then
    "RAY_SERVE_FORCE_STOP_UNHEALTHY_REPLICAS": "1",  # a frozen replica cannot end gracefully: kill it
}
#: What every process of a cluster reads that this one starts.
SETTINGS = CONTROLLER_SETTINGS | {
    "RAY_SERVE_THROUGHPUT_OPTIMIZED": "1",  # one event loop a replica, gRPC between deployments, buffered access logs
    "RAY_SERVE_ENABLE_DIRECT_INGRESS": "0",  # the one port that was asked for, no more
    "RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH": "serve_app.middleware.request_id:proxy_middlewares",
}


def serve_job(config: RunConfig, storage: Storage, args: argparse.Namespace) -> dict[str, Any]:
    """Deploy, wait until every part answers, say where, and stay."""
    if args.detach and not os.environ.get("RAY_ADDRESS"):
        raise ValueError(
            "--detach: found no RAY_ADDRESS, and a cluster of this process ends with it; expected a running one: "
            "`ray start --head`, then RAY_ADDRESS=auto (or submit this job by `ray job submit`)"
        )
    if not os.environ.get("RAY_ADDRESS"):
        watch_over_this_process()
    from ray import serve

    port = start_proxy(config.serving, config.serving.port if args.port is None else args.port)
    module, function = APPLICATION.split(":")
    app_module = importlib.import_module(module)
    overrides = [*args.overrides, f"storage={storage.root}"]
    app_args = app_module.BuildArgs(config=args.config, storage=storage.root, overrides=overrides)
    serve.run(getattr(app_module, function)(app_args), name=NAME, route_prefix="/")
    url = f"http://{_reachable(config.serving.host)}:{port}"
    ready = {"url": url, "docs": f"{url}/docs", "checks": await_ready(url)}
    print(welcome(config, storage, url, app_module.key_names(config.serving)), file=sys.stderr, flush=True)
    if not args.detach:
        print(json.dumps({"run": config.name, "ok": True, **ready}, separators=(",", ":")), flush=True)
        stay()
        stop(config.serving)
    return ready


def welcome(config: RunConfig, storage: Storage, url: str, keys: list[str]) -> str:
    """What a newcomer wants to know: address, state of the keys, bundle, what to try."""
    pointer = current(storage, config.name)
    artifact = storage.find("bundle", pointer["id"])
    assert artifact is not None
    made = time.strftime("%Y-%m-%d %H:%M", time.localtime(artifact.manifest.created_unix))
    header = ' -H "authorization: Bearer $KEY"' if keys else ""
    lines = {
        "address": f"{url}   (try it out in a browser: {url}/docs)",
        "keys": ", ".join(keys) if keys else "none: whoever reaches the address may ask (serving.api_keys_env)",
        "bundle": f"{pointer['id']} ({artifact.manifest.info.get('variant', 'unknown variant')}, made {made})",
        "try": f"curl -s {url}/v1/recommend{header} -H 'content-type: application/json' "
        '-d \'{"text": "something small and quiet", "k": 5}\'',
        "health": f"{url}/readyz   (metrics: {url}/metrics)",
        "stop": "Ctrl-C ends what is under way, then stops",
    }
    return "\n".join([f"\nllmrec serves {config.name}", *(f"  {name:<8} {text}" for name, text in lines.items()), ""])


def start_proxy(serving: ServingConfig, port: int) -> int:
    """Start Serve's HTTP proxy; returns its port. A Serve that already runs on the cluster keeps its own.

    Raises ValueError where the port is taken.
    """
    from ray import serve
    from ray.serve.context import _get_global_client

    running = _get_global_client(raise_if_no_controller_running=False)
    if running is None:
        port = free_port(serving.host, port)
        longest = serving.body_timeout_s + serving.request_timeout_s + 5
        options = {"host": serving.host, "port": port, "request_timeout_s": longest}
        serve.start(http_options=options, controller_options={"runtime_env": {"env_vars": CONTROLLER_SETTINGS}})
        return port
    found: int = running.http_config.port
    if port not in (0, found):
        logger.warning("Serve already runs on this cluster: using its port %d instead of %d", found, port)
    return found


def free_port(host: str, port: int) -> int:
    """`port` if nobody listens there, any free one for 0. Raises ValueError where it is taken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise ValueError(
                f"serving.port: cannot listen on {host}:{port} ({error.strerror}); expected a free port: stop what "
                "listens there, give another by --port N, or take any free one by --port 0"
            ) from None
        return int(probe.getsockname()[1])


def await_ready(url: str) -> dict[str, str]:
    """What /readyz says of each part, once all of them answer. Raises TimeoutError naming those that do not."""
    deadline = time.monotonic() + READY_PATIENCE_S
    said: Any = "nothing"
    while time.monotonic() < deadline:
        try:
            answer = httpx.get(f"{url}/readyz", timeout=10)
            said = answer.json()
            if answer.status_code == 200:
                checks: dict[str, str] = said["checks"]
                return checks
        except (httpx.TransportError, ValueError) as error:
            said = repr(error)
        time.sleep(0.2)
    raise TimeoutError(
        f"{url}/readyz: not ready within {READY_PATIENCE_S} s, it said {said}; see the logs of Ray Serve"
    )


def stay() -> None:
    """Until Ctrl-C or SIGTERM, also where a shell started this process with SIGINT ignored."""
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    while not stopped.wait(1):
        pass
    logger.info("stopping: nothing new is taken, what is under way ends")


def stop(serving: ServingConfig) -> None:
    """End what is under way, then all of Serve."""
    asyncio.run(_stop(serving.request_timeout_s + 5))


async def _stop(patience_s: float) -> None:
    from ray import serve

    try:
        logger.info("stopped; %d requests were cut off", sum(await _drain(patience_s)))
    except Exception as error:  # whatever holds the ingress up must not hold the end up
        logger.warning("could not wait for what is under way: %s", error)
    await serve.shutdown_async()  # in the loop that the handle lives in: another one finds it closed


async def _drain(patience_s: float) -> list[int]:
    from ray import serve

    ingress = serve.get_app_handle(NAME)
    left: list[int] = await ingress.broadcast("drain").results_async(timeout_s=patience_s)
    return left


def _reachable(host: str) -> str:
    """The host for a URL on this machine."""
    if host in ("0.0.0.0", "::"):
        return "127.0.0.1" if host == "0.0.0.0" else "[::1]"
    return f"[{host}]" if ":" in host else host


def set_environment() -> None:
    """Settings of Ray Serve for what this process starts. Set them where `ray start` runs for other clusters."""
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)


if __name__ == "__main__":
    set_environment()
    arguments = parser("Serve the bundle that the registry's CURRENT names.")
    arguments.add_argument("--port", type=at_least(0), help="instead of serving.port; 0: any free port")
    arguments.add_argument("--detach", action="store_true", help="return once it is ready, and leave it running")
    raise SystemExit(main(serve_job, arguments))
