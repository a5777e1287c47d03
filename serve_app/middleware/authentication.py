"""The key, before anything of the request is read."""

from starlette.types import ASGIApp, Receive, Scope, Send

from serve_app.errors import ApiError
from serve_app.middleware.keys import ApiKey, KeyRing, Role
from serve_app.middleware.scopes import header, is_open, path_of, set_client

#: What asks for more than `read`, by the beginning of its path.
ROLES: dict[str, Role] = {"/metrics": "admin", "/operate": "admin", "/v1/events": "write",
                           "/v1/feedback": "write", "/v1/experiments": "admin"}  # fmt: skip
#: Methods that change something.
WRITING = ("PUT", "DELETE", "PATCH")


class Authentication:
    """401 without a valid key, 403 where its role does not reach. Open paths need none."""

    def __init__(self, app: ASGIApp, keys: KeyRing) -> None:
        self._app, self._keys = app, keys

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and not is_open(scope):
            try:
                set_client(scope, self._identify(scope).name)
            except ApiError as error:
                await error.response()(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _identify(self, scope: Scope) -> ApiKey:
        scheme, _, key = header(scope, b"authorization").strip().partition(b" ")
        found = self._keys.find(key.strip())
        if scheme.lower() != b"bearer" or found is None:
            raise ApiError(
                401, "unauthorized", "expected the header `Authorization: Bearer KEY` with a valid key",
                headers={"WWW-Authenticate": "Bearer", "Connection": "close"},
            )  # fmt: skip
        least: Role = "write" if scope["method"] in WRITING else "read"
        needed: Role = next((role for start, role in ROLES.items() if path_of(scope).startswith(start)), least)
        if not found.may(needed):
            raise ApiError(403, "forbidden", f"this key may {found.role}; expected one that may {needed}")
        return found
