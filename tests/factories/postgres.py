"""A PostgreSQL of the tests' own, as a package brings it: no server is needed on the machine."""

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest


class Postgres:
    """A running server; `stop` and `start` are what an operator would do."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.start()

    def start(self) -> None:
        import pgserver

        os.environ.setdefault("XDG_RUNTIME_DIR", str(self._folder.parent))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self._server: Any = pgserver.get_server(self._folder, cleanup_mode="stop")

    def stop(self) -> None:
        self._server.cleanup()

    def log(self, name: str) -> str:
        """`serving.live.path` of a log in it."""
        return f"{self._server.get_uri().replace('postgres:@', 'postgres@')}#{name}"


@contextmanager
def postgres(folder: Path) -> Iterator[Postgres]:
    """Until the block ends; skips where the package has no server for this machine."""
    pytest.importorskip("pgserver", reason="the package pgserver has no PostgreSQL for this machine")
    folder.mkdir(exist_ok=True)
    try:
        server = Postgres(folder)
    except Exception as error:  # root may have no right to make the user that PostgreSQL then runs as
        pytest.skip(f"the package pgserver cannot start PostgreSQL here: {type(error).__name__}: {error}")
    try:
        yield server
    finally:
        server.stop()
