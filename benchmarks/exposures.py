"""What it costs an answer that its list is logged: the same answers with and without a log, in turn, in one process.

The log is on the disk of `--folder`; it is written by a thread beside the event loop, as in the ingress. An answer is
made at once here, so that what is measured is the logging alone: what it adds to an answer's time, and to its CPU, the
writing thread's with it. The last line is JSON:
{"benchmark": "exposures", "added_us_p50": …, "added_us_p99": …, "cpu_us": …}.
"""

import argparse
import asyncio
import json
import tempfile
import time

import numpy as np

from llmrec.config.data.events import OutcomeConfig
from llmrec.config.serving.experiments import ExperimentConfig, ExposuresConfig
from serve_app.messages import Provenance, RankedItems
from serve_app.schemas.requests import RecommendRequest
from serve_app.trials import ExposureSettings, Recorder, Trials

K, RATE_HZ = 10, 500
TWO_ARMS = ExperimentConfig.model_validate({"arms": {"a": {}, "b": {"need": 1.0}}})


async def answer(request: RecommendRequest, bundle: str | None) -> RankedItems:
    """Ten items at once."""
    items = [f"item-{n:06d}" for n in range(K)]
    return RankedItems(Provenance("bundle", 0, "history"), items, [1.0 - n / K for n in range(K)])


async def block(ask, n: int) -> tuple[list[float], float]:  # type: ignore[no-untyped-def]
    """Microseconds of each of `n` answers, sent at RATE_HZ, and CPU microseconds an answer, all threads'."""
    took, cpu = [], time.process_time()
    for k in range(n):
        request, started = RecommendRequest(user_id=f"u{k}", k=K), time.perf_counter()
        await ask(request)
        took.append(1e6 * (time.perf_counter() - started))
        await asyncio.sleep(max(0.0, 1 / RATE_HZ - (time.perf_counter() - started)))
    return took, 1e6 * (time.process_time() - cpu) / n


async def paired(folder: str, blocks: int, n: int) -> dict[str, float]:
    """Medians over the blocks of what logging adds."""
    events = f"{folder}/events.sqlite"
    settings = ExposureSettings(f"{folder}/shown.sqlite", events, ExposuresConfig(enabled=True), OutcomeConfig())
    trials, added = Trials({"try": TWO_ARMS}, Recorder(settings)), list[list[float]]()
    async with trials.lifespan():
        for turn in range(blocks):
            ways = (lambda request: answer(request, None), lambda request: trials.recommend(request, answer))
            found = [await block(ask, n) for ask in (ways if turn % 2 == 0 else reversed(ways))]
            plain, logged = found if turn % 2 == 0 else reversed(found)
            more = [float(np.percentile(logged[0], q) - np.percentile(plain[0], q)) for q in (50, 99)]
            added.append([*more, logged[1] - plain[1]])
        await asyncio.sleep(1)
    names = ("added_us_p50", "added_us_p99", "cpu_us")
    return {name: round(float(value), 1) for name, value in zip(names, np.median(added, axis=0), strict=True)} | {
        "lists": trials.recorder.logged, "dropped": trials.recorder.dropped
    }  # fmt: skip


def main() -> int:
    """Measure and print."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--folder", help="on the disk that is meant; none: a temporary one")
    arguments.add_argument("--blocks", type=int, default=6)
    arguments.add_argument("--requests", type=int, default=1_000, help="of a block")
    args = arguments.parse_args()
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        print(json.dumps({"benchmark": "exposures", **asyncio.run(paired(folder, args.blocks, args.requests))}))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
