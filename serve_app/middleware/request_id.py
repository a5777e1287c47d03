"""Request ids that go into logs and back to the client: the caller's where it is harmless, else none."""

import re

from starlette.middleware import Middleware
from starlette.types import ASGIApp, Receive, Scope, Send

_HARMLESS = re.compile(rb"[A-Za-z0-9._-]{1,64}")
_HEADER = b"x-request-id"


class CleanRequestId:
    """Takes an `X-Request-ID` away that could forge or flood a log; Serve then makes one. It runs in Serve's proxy."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if "headers" in scope:
            scope["headers"] = [h for h in scope["headers"] if h[0].lower() != _HEADER or _HARMLESS.fullmatch(h[1])]
        await self._app(scope, receive, send)


def proxy_middlewares() -> list[Middleware]:
    """What runs in Serve's proxy, before it logs. Here, not beside the application, whose import takes seconds."""
    return [Middleware(CleanRequestId)]
