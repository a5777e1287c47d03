"""A closed-loop HTTP load in a process of its own: C connections, each with one request in flight. Prints JSON.

Bare asyncio streams, because a client library would take a good part of two cores. Run by `benchmarks.serve`.
"""

import asyncio
import json
import sys
import time
from urllib.parse import urlsplit

import numpy as np


async def connection(
    host: str, port: int, requests: list[bytes], until: float, seconds: list[float], once: bool
) -> int:
    """Send `requests` in turn until the clock says `until`, or each once; returns how many answers were not 200."""
    reader, writer = await asyncio.open_connection(host, port)
    failed = number = 0
    while (started := time.perf_counter()) < until and not (once and number == len(requests)):
        writer.write(requests[number % len(requests)])
        number += 1
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        await reader.readexactly(int(head.split(b"content-length:")[1].split(b"\r\n")[0]))
        seconds.append(time.perf_counter() - started)
        failed += not head.startswith(b"http/1.1 200")
    writer.close()
    return failed


async def load(
    url: str, connections: int, duration_s: float, bodies: list[dict[str, object]], once: bool = False
) -> dict[str, float]:
    """Requests a second and latency percentiles (ms) over `duration_s`, or (`once`) until each body was sent once."""
    parts = urlsplit(url)
    host, port = parts.hostname or "127.0.0.1", parts.port or 80
    requests = [_request(parts.path, host, body) for body in bodies]
    seconds: list[float] = []
    started = time.perf_counter()
    tasks = [
        connection(
            host,
            port,
            requests[n::connections] if once else requests[n:] + requests[:n],
            started + duration_s,
            seconds,
            once,
        )
        for n in range(connections)
    ]
    failed = sum(await asyncio.gather(*tasks))
    took = time.perf_counter() - started
    p50, p99 = (float(np.percentile(seconds, p)) * 1000 for p in (50, 99))
    return {"per_s": len(seconds) / took, "p50_ms": p50, "p99_ms": p99, "failed": failed, "requests": len(seconds)}


def _request(path: str, host: str, body: dict[str, object]) -> bytes:
    data = json.dumps(body).encode()
    lines = (f"POST {path} HTTP/1.1", f"Host: {host}", "Content-Type: application/json", f"Content-Length: {len(data)}")
    return "\r\n".join((*lines, "", "")).encode() + data


if __name__ == "__main__":
    order = json.load(sys.stdin)
    print(json.dumps(asyncio.run(load(**order))))
