"""Twenty minutes of requests: memory, handles and the slowest answers stay where they were after the first minutes.

LLMREC_SOAK_S shortens it. The last line printed is what was measured, as JSON.
"""

import json
import os
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import psutil
import pytest
from factories.load import Load, Reply
from factories.running import Running, running_server

SECONDS, EVERY_S, PAUSE_S = float(os.environ.get("LLMREC_SOAK_S", "1200")), 5.0, 0.02
pytestmark = pytest.mark.timeout(SECONDS + 600)
#: After this share of the time caches are full: slopes count from there on.
SETTLED = 1 / 3
REQUESTS = [
    *({"user_id": f"u{n}", "k": 10} for n in range(30)),
    {"user_id": "u1", "reasons": True}, {"text": "a drum"}, {"text": "small and quiet", "k": 20}, {},
    {"liked_items": ["i1", "i2"]}, {"user_id": "nobody"},
]  # fmt: skip
PARTS = ("ray::ServeReplica:llmrec:Ingress", "ray::ServeReplica:llmrec:Recommender",
         "ray::ServeReplica:llmrec:Encoder", "ray::ProxyActor")  # fmt: skip


@dataclass
class Watched:
    """A process: MiB of its own and open files at each look."""

    process: psutil.Process
    seconds: list[float] = field(default_factory=list)
    mib: list[float] = field(default_factory=list)
    handles: list[int] = field(default_factory=list)

    def look(self, now: float) -> None:
        self.seconds.append(now)
        self.mib.append(self.process.memory_full_info().uss / 2**20)
        self.handles.append(self.process.num_fds())

    def told(self) -> dict[str, float]:
        late = np.array(self.seconds) >= SETTLED * self.seconds[-1]
        slope = np.polyfit(np.array(self.seconds)[late], np.array(self.mib)[late], 1)[0]
        before = [h for h, is_late in zip(self.handles, late, strict=True) if not is_late]
        return {"mib": round(self.mib[-1], 1), "mib_per_hour": round(3_600 * float(slope), 1),
                "more_handles": max(self.handles[-3:]) - max(before)}  # fmt: skip


def watched(server: Running) -> dict[str, Watched]:
    return {title.rsplit(":", 1)[1]: Watched(psutil.Process(server.pids(title)[0])) for title in PARTS}


def p99_ms(replies: list[Reply]) -> float:
    return round(1_000 * float(np.percentile([reply.seconds for reply in replies], 99)), 1)


def test_nothing_grows_and_nothing_slows_down(tmp_path: Path) -> None:
    with running_server(tmp_path) as server:
        parts, started = watched(server), time.monotonic()
        with Load(f"{server.url}/v1/recommend", list(REQUESTS), pause_s=PAUSE_S) as load:
            while (now := time.monotonic() - started) < SECONDS:
                for part in parts.values():
                    part.look(now)
                time.sleep(EVERY_S)
        late = [reply for reply in load.replies if reply.sent - started >= SETTLED * SECONDS]
        thirds = np.array_split(np.arange(len(late)), 2)
        first, last = ([late[int(n)] for n in some] for some in thirds)
    figures = {"seconds": round(SECONDS), "replies": len(load.replies),
               "failed": sum(reply.status != 200 for reply in load.replies),
               "p99_ms_before": p99_ms(first), "p99_ms_at_the_end": p99_ms(last),
               "parts": {name: part.told() for name, part in parts.items()}}  # fmt: skip
    print(json.dumps(figures), flush=True)
    assert figures["failed"] == 0, figures
    assert p99_ms(last) < 2 * p99_ms(first) + 50, figures
    for told in (part.told() for part in parts.values()):
        grown = told["mib_per_hour"] * SECONDS * (1 - SETTLED) / 3_600
        assert grown < 20 and told["more_handles"] < 20, figures
