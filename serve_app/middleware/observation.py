"""Every answer is counted and timed by its route; refusals and failures are logged at once."""

import logging
import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serve_app.metrics import Metrics
from serve_app.middleware.scopes import client_of, method_of, route_of

logger = logging.getLogger("ray.serve.llmrec")
#: Of the refusals those that an operator acts on; Serve's access log holds every request.
REFUSALS = frozenset({401, 403, 408, 413, 429})


class Observation:
    """Around everything else. Serve's logger writes INFO when its buffer is full, ERROR at once."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app, self._metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status, started = 500, time.perf_counter()

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, noted)
        finally:
            self._record(scope, status, time.perf_counter() - started)

    def _record(self, scope: Scope, status: int, seconds: float) -> None:
        method, route = method_of(scope), route_of(scope)
        self._metrics.requests.labels(method, route, str(status)).inc()
        self._metrics.latency.labels(route).observe(seconds)
        if status in REFUSALS or status >= 500:
            client = client_of(scope) or "-"
            logger.error("%s %s %d after %.0f ms, key %s", method, route, status, 1000 * seconds, client)
