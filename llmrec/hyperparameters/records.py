"""A file a trial: what a search that was stopped goes on from."""

import time
from dataclasses import dataclass
from typing import Any, Literal

import pyarrow.fs as pafs
from pydantic import BaseModel, ConfigDict

from llmrec.files import filesystem, read_json, write_json
from llmrec.storage import fingerprint

State = Literal["begun", "complete", "pruned", "failed"]


class TrialRecord(BaseModel):
    """What became of a trial."""

    model_config = ConfigDict(extra="forbid")
    number: float  # seconds since 1970 at its begin: their order
    values: dict[str, Any]  # MODEL.SETTING -> value; the defaults have none
    state: State = "begun"
    value: float | None = None
    best_epoch: float | None = None  # of a network, by its own metric, as far as it came
    seconds: float = 0.0
    error: str = ""


@dataclass(frozen=True)
class Records:
    """The trials of one search, below a folder; by their settings, so that none is made twice."""

    folder: str

    def write(self, record: TrialRecord) -> None:
        write_json(self._uri(record.values), record.model_dump())

    def find(self, values: dict[str, Any]) -> TrialRecord | None:
        """The trial of these settings, if it came to an end."""
        found = read_json(self._uri(values))
        record = None if found is None else TrialRecord.model_validate(found)
        return record if record and record.state != "begun" else None

    def end(self, values: dict[str, Any], lost: bool) -> None:
        """Note of a trial that did not say so itself that it was ended, or that its worker was lost."""
        found = read_json(self._uri(values))
        record = TrialRecord.model_validate(found or {"number": time.time(), "values": values})
        if record.state == "begun":
            record.state, record.seconds = "failed" if lost else "pruned", time.time() - record.number
            record.error = "its worker was lost; was there too little memory?" if lost else ""
            self.write(record)

    def all(self) -> list[TrialRecord]:
        """In the order in which they began."""
        fs, path = filesystem(self.folder)
        files = fs.get_file_info(pafs.FileSelector(path, allow_not_found=True))
        found = [read_json(f"{self.folder}/{f.base_name}") for f in files if f.base_name.endswith(".json")]
        return sorted((TrialRecord.model_validate(f) for f in found if f), key=lambda record: record.number)

    def _uri(self, values: dict[str, Any]) -> str:
        return f"{self.folder}/{fingerprint(values)}.json"
