"""The registry, and what refreshes left, as an operator asks for them. Everything here blocks: call it in a thread."""

import time
from dataclasses import dataclass
from typing import Any

from llmrec import registry
from llmrec.refresh.book import RefreshBook
from llmrec.storage import Storage

#: Bundles shown, those published last first.
_SHOWN = 12


@dataclass(frozen=True)
class ConsoleSettings:
    """Whose registry it is. `trust_remote_code`: the server's own setting, which a published bundle must keep to."""

    root: str
    name: str
    trust_remote_code: bool = False


@dataclass(frozen=True)
class PublishedBundle:
    """A version of the registry. `there`: whether its files still are."""

    sequence: int
    id: str
    published_unix: float
    variant: str | None
    current: bool
    there: bool


@dataclass(frozen=True)
class LastRefresh:
    """What `jobs.refresh` did last; `because` is None while a turn is under way, or was cut off."""

    turn: int
    events: int
    held_back: int
    published: str | None
    because: str | None


class Console:
    """Of one server."""

    def __init__(self, settings: ConsoleSettings) -> None:
        self._settings, self._storage = settings, Storage(settings.root)

    def bundles(self) -> list[PublishedBundle]:
        """Each bundle that was published, once, by its last version; the newest first."""
        now = registry.current(self._storage, self._settings.name)
        last = {pointer["id"]: pointer for pointer in registry.versions(self._storage, self._settings.name)}
        newest = sorted(last.values(), key=lambda pointer: -int(pointer["sequence"]))[:_SHOWN]
        return [self._bundle(pointer, pointer["id"] == now["id"]) for pointer in newest]

    def _bundle(self, pointer: dict[str, Any], current: bool) -> PublishedBundle:
        artifact = self._storage.find("bundle", pointer["id"])
        variant = None if artifact is None else artifact.manifest.info.get("variant")
        return PublishedBundle(
            pointer["sequence"], pointer["id"], pointer["published_unix"], variant, current, artifact is not None
        )

    def previous(self) -> str | None:
        """The id of the bundle that `roll_back` goes to; None where there is none."""
        before = registry.previous(self._storage, self._settings.name)
        return None if before is None else str(before["id"])

    def activate(self, bundle: str) -> str:
        """Publish a bundle that was published before; returns its id. Raises ValueError where it may not serve."""
        known = {pointer["id"] for pointer in registry.versions(self._storage, self._settings.name)}
        artifact = self._storage.find("bundle", bundle) if bundle in known else None
        if artifact is None:
            raise ValueError("no such bundle was published here, or its files are gone; expected one of the list")
        name, trusted = self._settings.name, self._settings.trust_remote_code
        return str(registry.publish(self._storage, artifact, name, trusted)["id"])

    def roll_back(self) -> str:
        """Go back to the version before; returns its bundle's id. Raises ValueError where there is none."""
        return str(registry.rollback(self._storage, self._settings.name)["id"])

    def last_refresh(self) -> LastRefresh | None:
        """None where nothing was ever refreshed."""
        book = RefreshBook(self._storage, self._settings.name)
        turns = book.turns()
        plan = book.plan(turns[-1]) if turns else None
        if plan is None:
            return None
        result = book.result(plan.turn) or {}
        published = result.get("published")
        return LastRefresh(
            plan.turn, plan.events, len(plan.held), published["id"] if published else None, result.get("because")
        )


def ago(unix: float, now: float | None = None) -> str:
    """How long since a time, in words."""
    seconds = max(0.0, (time.time() if now is None else now) - unix)
    for length, unit in ((86_400, "day"), (3_600, "hour"), (60, "minute")):
        if seconds >= length:
            n = int(seconds // length)
            return f"{n} {unit}{'' if n == 1 else 's'} ago"
    return "just now"
