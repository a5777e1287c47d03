"""What every job shares: arguments, logging, the cluster, errors, and one JSON line last."""

import argparse
import json
import logging
import re
import sys
import time
from collections.abc import Callable
from typing import Any

import torch

from jobs import cluster
from llmrec.config import RunConfig, load_config
from llmrec.pipeline import Run, run_stage
from llmrec.storage import Artifact, Storage

logger = logging.getLogger("llmrec.jobs")
_COLOUR = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
Job = Callable[[RunConfig, Storage, argparse.Namespace], dict[str, Any]]


def parser(description: str) -> argparse.ArgumentParser:
    """The arguments that all jobs take."""
    arguments = argparse.ArgumentParser(description=description)
    arguments.add_argument("--config", required=True, help="the run's YAML file, for example configs/quickstart.yaml")
    arguments.add_argument("overrides", nargs="*", metavar="SECTION.KEY=VALUE", help="replace a value of the file")
    volume = arguments.add_mutually_exclusive_group()
    volume.add_argument("--quiet", action="store_const", const=logging.WARNING, dest="level", help="warnings only")
    volume.add_argument("--debug", action="store_const", const=logging.DEBUG, dest="level", help="with tracebacks")
    return arguments


def main(job: Job, arguments: argparse.ArgumentParser) -> int:
    """Run `job`; print its answer as one compact JSON line, last. 0: success, 1: failure, 2: unusable input."""
    args = arguments.parse_intermixed_args()  # overrides may stand on both sides of an option
    logging.basicConfig(
        level=args.level or logging.INFO, stream=sys.stderr, force=True,
        format="%(asctime)s %(name)s: %(message)s", datefmt="%H:%M:%S",
    )  # fmt: skip
    for chatty in ("faiss.loader", "httpx"):  # which CPU's build was tried, each look whether the server is up
        logging.getLogger(chatty).setLevel(max(logging.WARNING, args.level or 0))
    # The models' matrices are small; on a busy machine two threads wait for each other far longer than they work.
    torch.set_num_threads(1)
    started = time.perf_counter()
    answer: dict[str, Any] = {"ok": False}
    code = 1
    try:
        config = load_config(args.config, args.overrides)
        storage = Storage(cluster.storage_root(config.storage))
        answer["run"] = config.name
        if not getattr(args, "check", False):  # looking needs no cluster
            cluster.connect(storage)
        answer |= job(config, storage, args) | {"ok": True}
        code = 0
    except (ValueError, FileNotFoundError) as error:
        logger.debug("where it was raised", exc_info=True)
        code = 2
        answer["error"] = _said(error)
    except KeyboardInterrupt:
        answer["error"] = "interrupted"
    except Exception as error:
        logger.debug("where it was raised", exc_info=True)
        answer["error"] = _said(error)
    answer["seconds"] = round(time.perf_counter() - started, 1)
    print(json.dumps(answer, separators=(",", ":"), ensure_ascii=False, default=str), flush=True)
    return code


def at_least(least: int) -> Callable[[str], int]:
    """An argument's type: a whole number from `least` on."""

    def read(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            number = least - 1
        if number < least:
            raise argparse.ArgumentTypeError(f"found {text!r}, expected a whole number of at least {least}")
        return number

    return read


def share(text: str) -> float:
    """An argument's type: a number above 0 and below 1."""
    number = rate(text)
    if number in (0, 1):
        raise argparse.ArgumentTypeError(f"found {text!r}, expected a number above 0 and below 1")
    return number


def rate(text: str) -> float:
    """An argument's type: a number from 0 to 1."""
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number <= 1:
        raise argparse.ArgumentTypeError(f"found {text!r}, expected a number from 0 to 1")
    return number


def _said(error: Exception) -> str:
    cause = getattr(error, "cause", None)  # what a task on another node raised
    error = cause if isinstance(cause, Exception) else error
    text = f"{error}" if isinstance(error, ValueError | FileNotFoundError) else f"{type(error).__name__}: {error}"
    text = _COLOUR.sub("", text)
    print(f"error: {text}", file=sys.stderr, flush=True)
    return text


def report(stage: str, artifacts: dict[str, Artifact], seconds: float) -> None:
    """Log one line a finished stage."""
    for name, artifact in artifacts.items():
        state = (
            "unchanged, reused" if artifact.reused and artifact.manifest.created_unix < time.time() - seconds else ""
        )
        counts = ", ".join(f"{k} {v:,}" for k, v in artifact.manifest.counts.items())
        logger.info("%s: %s %s %s%s", stage, name, artifact.id, counts, f" ({state})" if state else "")
    logger.info("%s: done in %.1f s", stage, seconds)


def describe(run: Run) -> dict[str, Any]:
    """The artifacts of a run for the JSON line: id, counts, and where they lie."""
    return {name: {"uri": a.root, **a.manifest.counts} for name, a in run.artifacts.items()}


def stage_main(stage: str, description: str) -> int:
    """The whole of a job that runs one stage."""

    def job(config: RunConfig, storage: Storage, _: argparse.Namespace) -> dict[str, Any]:
        run = run_stage(config, storage, stage, report)
        return {"stage": stage, "artifacts": describe(run)} | ({"published": run.published} if run.published else {})

    return main(job, parser(description))
