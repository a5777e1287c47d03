"""`make demo`: a local cluster, the pipeline by `ray job submit`, the server, two questions over HTTP."""

import argparse
import json
import os
import sys
import time
from collections import Counter
from typing import Any

import httpx

from jobs.cluster import storage_root
from jobs.local import local_cluster
from llmrec.config import load_config
from llmrec.schema import C
from llmrec.storage import Artifact, Storage

NEWCOMER = "I always look for something compact and quiet that uses little power and is easy to handle."


def demo(config_file: str, overrides: list[str]) -> dict[str, Any]:
    """Run everything once; returns the demo's JSON answer."""
    started = time.perf_counter()
    config = load_config(config_file, overrides)
    storage = Storage(storage_root(config.storage))
    arguments = ["--config", config_file, *overrides, f"storage={storage.root}"]
    _say("starting a local Ray cluster (token authentication on)")
    # Serve's deployments and a stage's actors are never on the cluster at once, but its readers always need a slot.
    with local_cluster(num_cpus=max(6, os.cpu_count() or 1)) as cluster:
        _say("submitting the pipeline: ray job submit --working-dir . -- python -m jobs.pipeline …")
        run = _answer(cluster.submit("python", "-m", "jobs.pipeline", *arguments))
        _say("deploying encoder, retriever and ranker on Ray Serve")
        server = _answer(cluster.submit("python", "-m", "jobs.serve", *arguments, "--port", "0", "--detach"))
        corpus = storage.find("corpus", run["artifacts"]["corpus"]["uri"].rsplit("/", 1)[1])
        assert corpus is not None
        served = [_ask(server["url"], question, titles(corpus)) for question in _questions(corpus)]
    keys = ("rows_in", "rows_out", "quarantined", "metrics", "report")
    seconds = round(time.perf_counter() - started, 1)
    return {"run": config.name, "seconds": seconds, **{k: run[k] for k in keys}, "served": served}


def titles(corpus: Artifact) -> dict[str, str]:
    """Item id → title, of the items that have one."""
    items = corpus.table("items", [C.ITEM_ID, C.TITLE]).to_pylist()
    return {item[C.ITEM_ID]: item[C.TITLE] for item in items if item[C.TITLE]}


def _questions(corpus: Artifact) -> list[dict[str, Any]]:
    """One question of the user with the most reviews, and one of a newcomer who only says what they want."""
    users = corpus.table("reviews", [C.USER_ID])[C.USER_ID].to_pylist()
    return [{"user_id": Counter(users).most_common(1)[0][0], "k": 5}, {"text": NEWCOMER, "k": 5}]


def _ask(url: str, question: dict[str, Any], names: dict[str, str]) -> dict[str, Any]:
    """POST one question to /v1/recommend and show the answer as a person would read it."""
    response = httpx.post(f"{url}/v1/recommend", json=question, timeout=60)
    response.raise_for_status()
    answer: dict[str, Any] = response.json()
    asked = f"user {question['user_id']}" if "user_id" in question else f"a newcomer: “{question['text']}”"
    _say(f"POST /v1/recommend for {asked}")
    for place, item in enumerate(answer["items"], 1):
        name = names.get(item["item_id"], "")
        print(f"  {place}. {item['item_id']:<12} {item['score']:7.3f}  {name:.80}", file=sys.stderr)
    return {"request": question, "items": [item["item_id"] for item in answer["items"]]}


def _answer(lines: list[str]) -> dict[str, Any]:
    """The JSON line that every job prints last."""
    for line in reversed(lines):
        if line.startswith("{"):
            parsed: dict[str, Any] = json.loads(line)
            return parsed
    raise RuntimeError("the job printed no JSON line; its log is above")


def _say(text: str) -> None:
    print(f"\n== {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", default="configs/quickstart.yaml")
    parser.add_argument("overrides", nargs="*", metavar="SECTION.KEY=VALUE")
    given = parser.parse_args()
    print(json.dumps(demo(given.config, given.overrides), separators=(",", ":"), ensure_ascii=False), flush=True)
