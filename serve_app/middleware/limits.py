"""The size of the body, the time it may take, the time an answer may take, and how many may be under way."""

import asyncio

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from llmrec.config import ServingConfig
from serve_app.errors import ApiError
from serve_app.middleware.scopes import client_of, header, is_open
from serve_app.middleware.traffic import Traffic


class RequestLimits:
    """Refuses what the application must not see: 408, 413, 429, 503 and 504.

    The body is read here, at most `max_body_bytes` of it, so that no route ever holds more. On open paths none is read,
    and they are answered whatever is under way.
    """

    def __init__(self, app: ASGIApp, config: ServingConfig, traffic: Traffic) -> None:
        self._app, self._config, self._traffic = app, config, traffic

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
        elif is_open(scope):
            await self._app(scope, _replay(b"", receive), send)
        else:
            try:
                await self._answer(scope, receive, send)
            except ApiError as error:
                await error.response()(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._traffic.body() as body:
            await self._read(scope, receive, body)
            with self._traffic.slot(client_of(scope)):
                limit = self._config.request_timeout_s
                try:
                    async with asyncio.timeout(limit):
                        await self._app(scope, _replay(bytes(body), receive), send)
                except TimeoutError:
                    raise ApiError(504, "timeout", f"no answer within {limit:g} s") from None

    async def _read(self, scope: Scope, receive: Receive, body: bytearray) -> None:
        announced = header(scope, b"content-length")
        if announced.isdigit() and int(announced[:20]) > self._config.max_body_bytes:
            raise self._too_large()
        limit = self._config.body_timeout_s
        try:
            async with asyncio.timeout(limit):
                while await self._read_chunk(receive, body):
                    pass
        except TimeoutError:
            raise ApiError(
                408, "slow_body", f"the body did not arrive within {limit:g} s", headers={"Connection": "close"}
            ) from None

    async def _read_chunk(self, receive: Receive, body: bytearray) -> bool:
        """Whether more is to come."""
        message = await receive()
        if message["type"] == "http.disconnect":
            return False
        chunk = message.get("body", b"")
        if len(body) + len(chunk) > self._config.max_body_bytes:
            raise self._too_large()
        self._traffic.add(body, chunk)
        return bool(message.get("more_body", False))

    def _too_large(self) -> ApiError:
        limit = f"expected a body of at most {self._config.max_body_bytes} bytes"
        return ApiError(413, "body_too_large", limit, headers={"Connection": "close"})


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
