"""What stands before the routes: the key, the size of the body, the time a request may take. Plain ASGI."""

import asyncio
import hashlib
import hmac
import os
from dataclasses import dataclass

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serve_app.errors import ApiError

#: Open to everybody: whether the server lives, and how it is to be used.
OPEN_PATHS = frozenset({"/healthz", "/readyz", "/docs", "/openapi.json"})


def key_digest(variable: str | None) -> bytes | None:
    """SHA-256 of the key in the environment `variable`; None where none is wanted. Raises ValueError if unset."""
    if variable is None:
        return None
    key = os.environ.get(variable)
    if not key:
        raise ValueError(
            f"serving.api_key_env: the environment variable {variable} is unset or empty; expected the key that "
            f"clients must send as `Authorization: Bearer KEY`. Export {variable}, or set serving.api_key_env=null"
        )
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()


@dataclass(frozen=True)
class RequestLimits:
    """Refuses what the application must not see: 401, 413, 408 and 504.

    The body is read here, at most `max_body_bytes` of it, so that no route ever holds more. Only the digest of the
    key is kept, and digests are compared in constant time.
    """

    app: ASGIApp
    max_body_bytes: int
    timeout_s: float
    digest: bytes | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        body: bytes | None = None
        try:
            self._check_key(scope)
            async with asyncio.timeout(self.timeout_s):
                body = await self._read(scope, receive)
                await self.app(scope, _replay(body, receive), send)
        except TimeoutError:
            await self._late(body is not None).response()(scope, receive, send)
        except ApiError as error:
            await error.response()(scope, receive, send)

    def _check_key(self, scope: Scope) -> None:
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        if self.digest is None or path in OPEN_PATHS:
            return
        scheme, _, key = _header(scope, b"authorization").strip().partition(b" ")
        given = hashlib.sha256(key.strip()).digest()
        if scheme.lower() != b"bearer" or not hmac.compare_digest(given, self.digest):
            raise ApiError(
                401, "unauthorized", "expected the header `Authorization: Bearer KEY` with a valid key",
                headers={"WWW-Authenticate": "Bearer"},
            )  # fmt: skip

    async def _read(self, scope: Scope, receive: Receive) -> bytes:
        announced = _header(scope, b"content-length")
        if announced.isdigit() and int(announced[:20]) > self.max_body_bytes:
            raise self._too_large()
        body = bytearray()
        more = True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                break
            body += message.get("body", b"")
            more = message.get("more_body", False)
            if len(body) > self.max_body_bytes:
                raise self._too_large()
        return bytes(body)

    def _too_large(self) -> ApiError:
        limit = f"expected a body of at most {self.max_body_bytes} bytes"
        return ApiError(413, "body_too_large", limit, headers={"Connection": "close"})

    def _late(self, computing: bool) -> ApiError:
        if computing:
            return ApiError(504, "timeout", f"no answer within {self.timeout_s:g} s")
        return ApiError(408, "slow_body", f"the body did not arrive within {self.timeout_s:g} s")


def _header(scope: Scope, name: bytes) -> bytes:
    return next((bytes(value) for key, value in scope["headers"] if key == name), b"")


def _replay(body: bytes, receive: Receive) -> Receive:
    """A `receive` that hands out the body once, then what the connection says (its end)."""
    handed_out = False

    async def replay() -> Message:
        nonlocal handed_out
        if handed_out:
            return await receive()
        handed_out = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay
