"""Let what came while the server ran into the models: the log of events becomes corpus, the serving bundle goes on, and
what is no worse is published. With --every, turn after turn, until SIGTERM."""

import argparse
import logging
import re
import signal
import threading
from types import FrameType
from typing import Any

from jobs.cli import main, parser, report
from llmrec.config import RunConfig
from llmrec.refresh.book import RefreshingError
from llmrec.refresh.turn import take_turn
from llmrec.storage import Storage

logger = logging.getLogger("llmrec.jobs")
_UNITS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}


class _Stopped(BaseException):
    """SIGTERM came in the middle of a turn, which the next run takes up."""


def interval(text: str) -> float:
    """Seconds of `90s`, `30m`, `1h`, `1d`."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd])", text)
    if not found or not float(found[1]):
        raise argparse.ArgumentTypeError(f"found {text!r}, expected a time such as 30m or 1h (units s, m, h, d)")
    return float(found[1]) * _UNITS[found[2]]


def refresh_job(config: RunConfig, storage: Storage, args: argparse.Namespace) -> dict[str, Any]:
    """One turn, or turn after turn."""
    if args.every is None:
        return {"stage": "refresh", **take_turn(config, storage, report)}
    return Schedule(config, storage, args.every).run()


class Schedule:
    """Turns `every` seconds, from the end of one to the beginning of the next, until `stop`."""

    def __init__(self, config: RunConfig, storage: Storage, every: float) -> None:
        self._config, self._storage, self._every = config, storage, every
        self._stopping, self._at_work, self._turned = threading.Event(), False, False

    def stop(self, signum: int, frame: FrameType | None) -> None:
        """A handler of signals."""
        self._stopping.set()
        if self._at_work:
            raise _Stopped

    def run(self) -> dict[str, Any]:
        """How many turns there were, what came of them, and of the last one."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self.stop)
        turns = published = failed = 0
        last: dict[str, Any] = {}
        try:
            while not self._stopping.is_set():
                last = self._turn()
                turns, failed = turns + 1, failed + ("error" in last)
                published += last.get("published") is not None
                logger.info("refresh: %s", last.get("because") or last.get("error"))
                self._stopping.wait(self._every)
        except _Stopped:
            logger.info("refresh: stopped within a turn, which the next run takes up")
        return {"stage": "refresh", "turns": turns, "publications": published, "failed": failed, "last": last}

    def _turn(self) -> dict[str, Any]:
        """A turn that fails is said, and tried again when the next one is due."""
        self._at_work = True
        try:
            return take_turn(self._config, self._storage, report)
        except Exception as error:
            if isinstance(error, RefreshingError) and not self._turned:
                raise  # another schedule: this one is too many
            logger.exception("refresh: a turn failed")
            return {"error": f"{type(error).__name__}: {error}"}
        finally:
            self._at_work, self._turned = False, True


if __name__ == "__main__":
    arguments = parser(__doc__ or "")
    arguments.add_argument("--every", type=interval, metavar="1h", help="turn after turn, so long after each")
    raise SystemExit(main(refresh_job, arguments))
