"""What a refresh works on."""

from dataclasses import dataclass, field
from functools import cached_property

from llmrec.config import RunConfig
from llmrec.exposures.paths import events_path, is_logged
from llmrec.live.event_log import EventLog, open_event_log
from llmrec.live_bundle import LogFile
from llmrec.refresh.book import RefreshBook
from llmrec.refresh.stages import Report
from llmrec.storage import Artifact, Storage


@dataclass
class Refresh:
    """What a turn works on: the run's storage, its log, and the bundle that serves."""

    config: RunConfig
    storage: Storage
    report: Report
    seconds: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.config.corpus.repeats == "last":
            raise ValueError(
                "jobs.refresh: found corpus.repeats 'last', expected 'keep': the server's log knows nothing of it"
            )
        live = self.config.serving.live
        path = events_path(self.config, self.storage.root, self.config.name)
        if not is_logged(path):
            raise FileNotFoundError(
                f"jobs.refresh: found no log of events at {path} (serving.live.path); expected that of a server with "
                "serving.live.enabled"
            )
        self.file = LogFile(path, live.max_events, 0.1)

    @cached_property
    def log(self) -> EventLog:
        return open_event_log(self.file.path)

    @property
    def book(self) -> RefreshBook:
        return RefreshBook(self.storage, self.config.name)

    def bundle(self, bundle_id: str) -> Artifact:
        """Raises ValueError where it is gone."""
        found = self.storage.find("bundle", bundle_id)
        if found is None:
            raise ValueError(f"bundle {bundle_id!r}: not found under {self.storage.root}; publish one by jobs.pipeline")
        return found

    def timed(self, stage: str, artifacts: dict[str, Artifact], seconds: float) -> None:
        self.seconds[stage] = round(seconds, 2)
        self.report(stage, artifacts, seconds)
