"""What refreshes leave behind: a plan before each turn, what came of it, and a lock, so that there is one at a time.

`ROOT/refresh/NAME/turns/000001/`: `plan.json`, the rows that the log gave, `result.json`. A turn without a result was
cut off; it is taken up again as it was planned, and stages that were finished are found.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pyarrow.fs as pafs
from pydantic import BaseModel, ConfigDict

from llmrec.files import delete_folder, filesystem, read_json, write_json
from llmrec.live.event_log import EventLog
from llmrec.storage import Storage


class RefreshingError(ValueError):
    """Another process refreshes the same run."""


class Plan(BaseModel):
    """A turn: which bundle goes on, with what of which log, and how many of the newest events are held out."""

    model_config = ConfigDict(extra="forbid")
    turn: int
    bundle: str
    log: str  # its identity
    through: int
    events: int  # of the log that come into the corpus
    held: dict[int, str]  # number of an event that is held back -> why
    waiting: list[int]  # numbers of events of unknown items
    logged: list[str]  # `corpus.logged`
    held_out: int
    told: dict[str, Any]


@dataclass(frozen=True)
class RefreshBook:
    """The turns of a run in its storage."""

    storage: Storage
    name: str

    def folder(self, turn: int) -> str:
        return f"{self.storage.root}/refresh/{self.name}/turns/{turn:06d}"

    def turns(self) -> list[int]:
        """Numbers of the turns that have a plan, ascending."""
        fs, base = filesystem(f"{self.storage.root}/refresh/{self.name}/turns")
        infos = fs.get_file_info(pafs.FileSelector(base, allow_not_found=True))
        numbers = sorted(int(info.base_name) for info in infos if info.base_name.isdigit())
        return [n for n in numbers if self.plan(n) is not None]

    def plan(self, turn: int) -> Plan | None:
        data = read_json(f"{self.folder(turn)}/plan.json")
        return None if data is None else Plan.model_validate(data)

    def result(self, turn: int) -> dict[str, Any] | None:
        found: dict[str, Any] | None = read_json(f"{self.folder(turn)}/result.json")
        return found

    def open(self, plan: Plan) -> None:
        write_json(f"{self.folder(plan.turn)}/plan.json", plan.model_dump(mode="json"))

    def close(self, turn: int, result: dict[str, Any]) -> None:
        write_json(f"{self.folder(turn)}/result.json", result)

    def forget(self, keep: int, needed: set[str]) -> None:
        """Delete what the turns but the last `keep` made, save the folders `needed` by what stays."""
        turns = self.turns()
        stay = {root for turn in turns[-keep:] for root in (self.result(turn) or {}).get("made", {}).values()} | needed
        for turn in turns[:-keep]:
            for root in (self.result(turn) or {}).get("made", {}).values():
                if root not in stay:
                    delete_folder(root)


@contextmanager
def only_one(log: EventLog) -> Iterator[None]:
    """Be the one refresh of a log. Raises RefreshingError where another one is."""
    with log.held() as alone:
        if not alone:
            raise RefreshingError(
                f"jobs.refresh: another one holds {log.path}, expected one at a time for a log; wait for it, or end it"
            )
        yield
