"""Errors of the HTTP API: one shape for all, and never the caller's input in it (it may be personal data)."""

import logging
from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import ValidationError
from starlette.exceptions import HTTPException as StarletteHTTPException

from serve_app.schemas.answers import ErrorResponse, Problem
from serve_app.schemas.requests import FIELDS

logger = logging.getLogger("ray.serve.llmrec")  # below Serve's own: its file, its request ids, errors at once
MAX_DETAILS = 20
CODES = {400: "bad_request", 401: "unauthorized", 404: "not_found", 405: "method_not_allowed"}


class ApiError(HTTPException):
    """An answer that is not 2xx. `code` is for programs, `message` for people."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        details: tuple[Problem, ...] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(status, message, headers)
        self.answer = ErrorResponse(error=Problem(code=code, message=message), details=list(details[:MAX_DETAILS]))

    def response(self) -> JSONResponse:
        return JSONResponse(self.answer.model_dump(), self.status_code, self.headers)


def try_again(status: int, code: str, message: str, wait_s: int) -> ApiError:
    """An error that passes: 429 or 503 with Retry-After."""
    return ApiError(status, code, f"{message}; try again in {wait_s} s", headers={"Retry-After": str(wait_s)})


def invalid_request(details: tuple[Problem, ...]) -> ApiError:
    """422 that names the fields."""
    return ApiError(422, "invalid_request", f"{len(details)} field(s) are not as documented at /docs", details)


def _problem(error: Mapping[str, Any]) -> Problem:
    """Only names that are ours: a field that the caller made up is their input, too."""
    where = ".".join(str(part) for part in error["loc"][:12] if isinstance(part, int) or part in FIELDS)
    return Problem(code=error["type"], message=str(error["msg"])[:300], where=where)


def problem_of(error: RequestValidationError | ValidationError) -> ApiError:
    """422 for what validation found."""
    return invalid_request(tuple(_problem(e) for e in error.errors()))


async def _on_invalid(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    return problem_of(error).response()


async def _on_http(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, StarletteHTTPException)
    code = CODES.get(error.status_code, "error")
    return ApiError(error.status_code, code, str(error.detail), headers=error.headers).response()


async def _on_api_error(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, ApiError)
    return error.response()


async def _on_defect(request: Request, error: Exception) -> JSONResponse:
    route = getattr(request.scope.get("route"), "path", None)  # not the path, which holds ids
    logger.error("%s failed", route, exc_info=error)
    return ApiError(500, "internal_error", "a defect of the server; its log holds the traceback").response()


def install(app: FastAPI) -> None:
    """Let every error of `app` take the shape of ErrorResponse."""
    app.add_exception_handler(RequestValidationError, _on_invalid)
    app.add_exception_handler(StarletteHTTPException, _on_http)
    app.add_exception_handler(ApiError, _on_api_error)
    app.add_exception_handler(Exception, _on_defect)
