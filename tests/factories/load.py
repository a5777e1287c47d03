"""Load on a server from threads of this process, each answer kept."""

import threading
import time
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

import httpx


@dataclass(frozen=True)
class Reply:
    """One answer: what was asked, the status, the body, when it was sent and how long it took (s)."""

    request: dict[str, Any]
    status: int
    body: dict[str, Any]
    headers: httpx.Headers
    sent: float
    seconds: float


@dataclass
class Load:
    """While the block runs, `clients` threads POST the `requests` in turn; `replies` holds every answer.

    A connection that breaks is a reply of status 0; a body that is not JSON lies under `text`.
    """

    url: str
    requests: list[dict[str, Any]]
    clients: int = 2
    pause_s: float = 0.0
    headers: dict[str, str] = field(default_factory=dict)
    replies: list[Reply] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)

    def __enter__(self) -> Self:
        self._threads = [threading.Thread(target=self._run, args=(n,)) for n in range(self.clients)]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def wait_for(self, n: int, timeout_s: float = 60) -> None:
        """Until `n` more replies have come."""
        goal, deadline = len(self.replies) + n, time.monotonic() + timeout_s
        while len(self.replies) < goal:
            assert time.monotonic() < deadline, f"{len(self.replies)} replies, expected {goal} within {timeout_s} s"
            time.sleep(0.01)

    def _run(self, n: int) -> None:
        with httpx.Client(timeout=60, headers=self.headers) as client:
            while not self._stop.is_set():
                request = self.requests[n % len(self.requests)]
                n += self.clients
                sent = time.monotonic()
                try:
                    answer = client.post(self.url, json=request)
                    status, headers = answer.status_code, answer.headers
                    body = answer.json() if "json" in headers.get("content-type", "") else {"text": answer.text}
                except httpx.TransportError as error:
                    status, body, headers = 0, {"error": repr(error)}, httpx.Headers()
                self.replies.append(Reply(request, status, body, headers, sent, time.monotonic() - sent))
                time.sleep(self.pause_s)
