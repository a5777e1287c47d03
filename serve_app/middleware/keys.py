"""API keys: named, with a role, from the environment or from a file that is read again when it changes."""

import hashlib
import logging
import os
import re
import secrets
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

from llmrec.config import ServingConfig

logger = logging.getLogger("ray.serve.llmrec")
Role = Literal["read", "write", "admin"]
#: Each role may do what those before it may.
ROLES: tuple[Role, ...] = get_args(Role)
MIN_LENGTH = 16
FORM = f"expected `NAME ROLE KEY` (role {', '.join(ROLES)}; a key of {MIN_LENGTH} characters or more, without spaces)"
_CHECK_EVERY_S = 1.0


@dataclass(frozen=True)
class ApiKey:
    """Only the SHA-256 digest of a key is kept."""

    name: str
    role: Role
    digest: bytes = field(repr=False)

    def may(self, role: Role) -> bool:
        """Whether this key opens what asks for `role`."""
        return ROLES.index(self.role) >= ROLES.index(role)


def digest_of(key: bytes) -> bytes:
    """What of a key is kept and compared."""
    return hashlib.sha256(key).digest()


def parse_keys(text: str, source: str) -> tuple[ApiKey, ...]:
    """One key a line, or separated by `;`; `#` begins a comment. A lone word is a key called `default` that may all.

    Raises ValueError naming `source` and line, never the key.
    """
    keys = []
    for number, line in enumerate(re.split(r"[\n;]", text), 1):
        words = line.partition("#")[0].split()
        if words:
            keys.append(_parse(words, f"{source}, line {number}"))
    names = [key.name for key in keys]
    if not keys or len(set(names)) < len(names):
        raise ValueError(f"{source}: found {len(keys)} keys, names {names}; {FORM}, each name once, at least one")
    return tuple(keys)


def _parse(words: list[str], where: str) -> ApiKey:
    name, role, key = ("default", "admin", words[0]) if len(words) == 1 else (*words, "", "")[:3]
    if role not in ROLES or len(words) not in (1, 3):
        raise ValueError(f"{where}: found {len(words)} words; {FORM}")
    if len(key) < MIN_LENGTH:
        raise ValueError(f"{where}: found a key of {len(key)} characters; {FORM}. `openssl rand -hex 24` makes one")
    return ApiKey(name, role, digest_of(key.encode("utf-8", "surrogateescape")))


class KeyRing:
    """The keys that are valid now."""

    def __init__(self, keys: tuple[ApiKey, ...], path: str | None = None) -> None:
        self._fixed, self._path = keys, path
        self._from_file: tuple[ApiKey, ...] = ()
        self._seen: tuple[int, int, int] | None = None
        self._next_check = 0.0
        if path is not None:
            self._from_file = self._read(path)

    def find(self, key: bytes) -> ApiKey | None:
        """The key that was sent, if it is valid. All are compared, each in constant time."""
        self._refresh()
        digest = digest_of(key)
        found = [k for k in (*self._fixed, *self._from_file) if secrets.compare_digest(k.digest, digest)]
        return found[0] if found else None

    def names(self) -> list[str]:
        """`name (role)` of each."""
        return [f"{key.name} ({key.role})" for key in (*self._fixed, *self._from_file)]

    def _refresh(self) -> None:
        """Look at the file once a second at most; keys that cannot be read leave the old ones valid."""
        if self._path is None or time.monotonic() < self._next_check:
            return
        self._next_check = time.monotonic() + _CHECK_EVERY_S
        try:
            if _stamp(self._path) != self._seen:
                self._from_file = self._read(self._path)
                logger.warning("keys: read %s again: %s", self._path, ", ".join(self.names()))
        except (OSError, ValueError) as error:
            logger.error("keys: %s; the old keys stay valid", error)

    def _read(self, path: str) -> tuple[ApiKey, ...]:
        self._seen = _stamp(path)
        return parse_keys(Path(path).read_text(encoding="utf-8"), f"serving.api_keys_file {path}")


def _stamp(path: str) -> tuple[int, int, int]:
    stat = Path(path).stat()
    return stat.st_mtime_ns, stat.st_size, stat.st_ino


def keys_in_environment(variable: str | None) -> tuple[ApiKey, ...]:
    """The keys in the environment `variable`, none where none is named. Raises ValueError where it is unset."""
    if variable is None:
        return ()
    text = os.environ.get(variable)
    if not text:
        raise ValueError(
            f"serving.api_keys_env: the environment variable {variable} is unset or empty; expected the keys that "
            f"clients send as `Authorization: Bearer KEY`. Export {variable}, or set serving.api_keys_env=null"
        )
    return parse_keys(text, f"serving.api_keys_env {variable}")


def open_key_ring(config: ServingConfig, keys: tuple[ApiKey, ...]) -> KeyRing | None:
    """`keys` and those of the configured file; None where no key is wanted."""
    if not keys and config.api_keys_file is None:
        return None
    return KeyRing(keys, config.api_keys_file)
