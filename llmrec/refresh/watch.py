"""Whether what a refresh published has been good for its users; if not, the bundle before it serves again."""

import logging
from typing import Any

import numpy as np

from llmrec import registry
from llmrec.bundle import read_settings
from llmrec.config.data.events import OutcomeConfig
from llmrec.live.event_log import EventLog
from llmrec.live.log_point import LogPoint
from llmrec.refresh.compare import Asked, Comparison, compared, least_queries, served_values
from llmrec.refresh.work import Refresh

logger = logging.getLogger(__name__)
#: Looked at turn after turn, so that a chance finding is rarer than of a single look.
CONFIDENCE = 0.99
_READ = 20_000


def judge(work: Refresh, pointer: dict[str, Any]) -> dict[str, Any] | None:
    """What is done where the bundle that serves does worse than the one before: that one serves again.

    The live metric: on the log's events since it was published, where both would have placed what was then taken
    (ndcg@10, one event a query), each as it serves, with the log up to now. Only bundles that a refresh made are
    judged, once there are `least_queries` such events. None: it stays.
    """
    before = registry.previous(work.storage, work.config.name)
    point = read_settings(work.bundle(pointer["id"]).root).log
    if before is None or point is None or point.log != work.log.identity():
        return None
    asked = events_since(work.log, point, pointer["published_unix"], work.config.corpus.outcome)
    if len(asked) < least_queries(work.config.refresh):
        return None
    found = _both(work, (pointer["id"], before["id"]), point, asked)
    logger.info("refresh: since it was published, %s reached %s", pointer["id"], found.told())
    if not found.worse:
        return None
    back = registry.rollback(work.storage, work.config.name)
    because = f"since it was published, its ndcg@10 lies below that of the bundle before, by {-found.difference:.5f}"
    return {"published": None, "rolled_back": {"from": pointer["id"], "to": back["id"]}, "live": found.told(),
            "because": because}  # fmt: skip


def events_since(log: EventLog, point: LogPoint, published: float, outcome: OutcomeConfig) -> Asked:
    """The outcome's events that came behind `point` and happened after `published` (Unix seconds), by time."""
    found, seq, held = list[tuple[int, str, str]](), point.through, set(point.held)
    while entries := log.since(seq, _READ):
        seq = entries[-1].seq
        events = (entry for entry in entries if entry.kind == "event" and entry.seq not in held)
        bodies = [entry.body for entry in events if entry.is_asked(outcome)]
        found += [(b["time"], b["user"], b["item"]) for b in bodies if b["time"] > published * 1000]
    found.sort()
    times = np.array([time for time, _, _ in found], np.int64)
    return Asked([user for _, user, _ in found], [item for _, _, item in found], times)


def _both(work: Refresh, bundles: tuple[str, str], point: LogPoint, asked: Asked) -> Comparison:
    asked, last = asked.thinned(work.config.refresh.max_queries), work.log.last()
    one, other = (
        served_values(work.bundle(b), work.file, point, asked, work.config.serving.retrieve, last) for b in bundles
    )
    return compared(one, other, asked, CONFIDENCE)
