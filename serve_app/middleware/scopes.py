"""What the middlewares read from an ASGI scope and leave in it for each other."""

from starlette.routing import Match
from starlette.types import Scope

#: Open to everybody: whether the server lives, how it is to be used, and the empty forms of the pages.
OPEN_PATHS = frozenset({"/", "/operator", "/healthz", "/readyz", "/docs", "/openapi.json"})
STATIC, PAGE_STATIC = "/docs/static", "/page/static"
NO_ROUTE = "(no route)"
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


def path_of(scope: Scope) -> str:
    """The path below the application's own prefix."""
    path: str = scope["path"]
    return path.removeprefix(scope.get("root_path", ""))


def is_open(scope: Scope) -> bool:
    """Whether no key is asked for and no body is read."""
    path = path_of(scope)
    return path in OPEN_PATHS or path.startswith((f"{STATIC}/", f"{PAGE_STATIC}/"))


def header(scope: Scope, name: bytes) -> bytes:
    """The first header of that lower-case name, empty where there is none."""
    return next((bytes(value) for key, value in scope["headers"] if key == name), b"")


def set_client(scope: Scope, name: str) -> None:
    """Remember whose key it was."""
    scope.setdefault("state", {})["client"] = name


def client_of(scope: Scope) -> str | None:
    """Whose key it was; None where no keys are asked for."""
    name: str | None = scope.get("state", {}).get("client")
    return name


def route_of(scope: Scope) -> str:
    """The template of the route, never the path itself: paths hold ids, and there is no end of them."""
    routes = (r for r in scope["app"].routes if r.matches(scope)[0] is not Match.NONE)
    return getattr(scope.get("route") or next(routes, None), "path", NO_ROUTE)


def method_of(scope: Scope) -> str:
    """The method, `OTHER` where the client made one up."""
    method: str = scope["method"]
    return method if method in METHODS else "OTHER"
