"""Errors of the HTTP API: one shape for all, and never the caller's input in it (it may be personal data)."""

import logging
from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from serve_app.schemas import ErrorResponse, Problem

logger = logging.getLogger(__name__)

MAX_DETAILS = 20
CODES = {400: "bad_request", 401: "unauthorized", 404: "not_found", 405: "method_not_allowed"}


class ApiError(Exception):
    """An answer that is not 2xx. `code` is for programs, `message` for people."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        details: tuple[Problem, ...] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.headers = status, headers
        self.answer = ErrorResponse(error=Problem(code=code, message=message), details=list(details[:MAX_DETAILS]))

    def response(self) -> JSONResponse:
        return JSONResponse(self.answer.model_dump(), self.status, self.headers)


def printable(value: object, length: int = 80) -> str:
    """`value` as text that JSON can carry, cut to `length` (a lone surrogate in a key must not become a 500)."""
    return str(value)[:length].encode("utf-8", "backslashreplace").decode()


def invalid_request(details: tuple[Problem, ...]) -> ApiError:
    """422 that names the fields."""
    return ApiError(422, "invalid_request", f"{len(details)} field(s) are not as documented at /docs", details)


def _problem(error: Mapping[str, Any]) -> Problem:
    where = ".".join(printable(part) for part in error["loc"][:12])
    return Problem(code=error["type"], message=printable(error["msg"], 300), where=where)


async def _on_invalid(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    return invalid_request(tuple(_problem(e) for e in error.errors())).response()


async def _on_http(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    code = CODES.get(error.status_code, "error")
    return ApiError(error.status_code, code, str(error.detail), headers=error.headers).response()


async def _on_api_error(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, ApiError)
    return error.response()


async def _on_defect(request: Request, error: Exception) -> JSONResponse:
    logger.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return ApiError(500, "internal_error", "a defect of the server; its log holds the traceback").response()


def install(app: FastAPI) -> None:
    """Let every error of `app` take the shape of ErrorResponse."""
    app.add_exception_handler(RequestValidationError, _on_invalid)
    app.add_exception_handler(HTTPException, _on_http)
    app.add_exception_handler(ApiError, _on_api_error)
    app.add_exception_handler(Exception, _on_defect)
