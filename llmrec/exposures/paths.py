"""Where the logs of a server lie, and everything in them joined."""

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from llmrec.config import RunConfig
from llmrec.config.data.events import OutcomeConfig
from llmrec.config.serving.experiments import ExposuresConfig
from llmrec.exposures.exposure_log import ExposureLog
from llmrec.live.event_log import in_database, open_event_log

#: Events joined at once.
_EVENTS = 5_000


@dataclass(frozen=True)
class LogPaths:
    """Files of the events and of what was shown."""

    events: str
    exposures: str


def events_path(config: RunConfig, root: str, name: str) -> str:
    """Where the event log lies: `serving.live.path`, or a file below the storage `root`. In PostgreSQL each run has its
    own, by its name, unless the path names another behind `#`."""
    path = config.serving.live.path or f"{root}/live/{name}.sqlite"
    if in_database(path):
        return path if "#" in path else f"{path}#{quote(name, safe='')}"
    return str(Path(path).expanduser().absolute())


def is_logged(events: str) -> bool:
    """Whether there is such a log, as far as can be told without making it: a database's is asked for when opened."""
    return in_database(events) or Path(events).exists()


def exposures_path(config: ExposuresConfig, events: str) -> str:
    """The exposure log's file: `serving.exposures.path`, or beside the event log.

    Raises ValueError where that is no file and none is named.
    """
    if config.path is None and in_database(events):
        raise ValueError(
            "serving.exposures.path: found none beside a log of events in PostgreSQL; expected a file on a local disk "
            "of the machine that serves"
        )
    return str(Path(config.path or Path(events).with_suffix(".exposures.sqlite")).expanduser().absolute())


def log_paths(config: RunConfig, root: str) -> LogPaths:
    """The files of a run's server. Raises FileNotFoundError where nothing was logged."""
    events = events_path(config, root, config.name)
    found = LogPaths(events, exposures_path(config.serving.exposures, events))
    if not Path(found.exposures).exists():
        raise FileNotFoundError(
            f"serving.exposures: no log at {found.exposures}; expected that of a server with exposures.enabled"
        )
    return found


def join_all(log: ExposureLog, events: str, window_s: float, outcome: OutcomeConfig) -> None:
    """Join every event anew, those too that overtook their list; what is joined already stays as it is."""
    window = int(window_s * 1000)
    log.join_said(window)
    if not is_logged(events):
        return
    live, after = open_event_log(events), 0
    while entries := live.since(after, _EVENTS):
        after = entries[-1].seq
        log.join_events(entries, window, after, outcome)
    live.close()
