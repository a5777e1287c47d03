"""What benchmarks share."""

import json
import os
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

RIVAL_PYTHON = Path(__file__).resolve().parent.parent / ".venv-rivals" / "bin" / "python"


class RivalProcess:
    """A process of a script beside this one that answers lines of JSON; `environment` joins ours."""

    def __init__(self, python: Path | str, script: str, *arguments: str, **environment: str) -> None:
        command = [str(python), str(Path(__file__).with_name(script)), *arguments]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
            env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])} | environment,
        )  # fmt: skip

    def ask(self, **request: Any) -> dict[str, Any]:
        """Its answer. Raises RuntimeError where it died."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            raise RuntimeError(f"the rival {self._process.args!r} died; run it by hand to see why")
        found: dict[str, Any] = json.loads(answer)
        return found

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(timeout=60)


def private_bytes(process: psutil.Process) -> int:
    """Resident bytes that are the process's own."""
    memory = process.memory_info()
    return int(memory.rss - memory.shared)


@contextmanager
def sampled(sample: Callable[[], None], every: float = 0.1) -> Iterator[None]:
    """Call `sample` now, and every so many seconds while the block runs."""
    ended = threading.Event()
    sample()

    def watch() -> None:
        while not ended.wait(every):
            sample()

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    yield
    ended.set()
    watcher.join()
