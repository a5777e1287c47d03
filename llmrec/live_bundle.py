"""A bundle as it serves beside a log of events: its history goes on, and its models answer for who came since."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from llmrec.bundle import Bundle
from llmrec.bundle_files import bundle_folder
from llmrec.features.arrays import Ints
from llmrec.features.asof.history import FURTHER
from llmrec.features.asof.logs.happened import Names, read_names
from llmrec.live.context import LiveContext
from llmrec.live.event_log import open_event_log
from llmrec.live.follower import LiveState
from llmrec.live.log_point import LogPoint
from llmrec.live.widened import Widened
from llmrec.recommender import FittedModels


@dataclass(frozen=True)
class LogFile:
    """The log that a bundle's history goes on with: its file, how many events of it are held, how often it is read.

    `exposures`: the file that says what was shown, where that is logged.
    """

    path: str
    max_events: int
    pull_s: float
    exposures: str | None = None


def go_live(bundle: Bundle, log: LogFile, point: LogPoint | None = None) -> tuple[LiveState, FittedModels]:
    """The history of a bundle loaded as `LiveContext`, ready to follow the log, and its models, ready for whom and what
    they do not know. `point`: what of the log it is made with, where it is not the bundle's own."""
    context, events = bundle.context, open_event_log(log.path)
    assert isinstance(context, LiveContext)
    known = point or bundle.settings.log
    if known is not None and known.log != events.identity():
        known = None  # of another log, whose numbers say nothing here
    live = LiveState(context, events, bundle.encoder_fingerprint or None, log.max_events, log.pull_s, known)
    widened = {name: Widened(model, context) for name, model in bundle.models.retrievers.items()}
    live.on_items = _describing(widened)
    return live, replace(bundle.models, retrievers=widened)


def besides(uri: str) -> Names:
    """What the features of the bundle's artifact know of besides reviews: kinds of events, relations, the outcome."""
    return read_names(f"{bundle_folder(uri)[0]}/history/{FURTHER}")


def _describing(models: dict[str, Widened]) -> Callable[[Ints], None]:
    def describe(rows: Ints) -> None:
        for model in models.values():
            model.describe(rows)

    return describe
