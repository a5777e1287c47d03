"""What this configuration's files call their columns, and what is known of a file before it is opened."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from llmrec.config.data.corpus import ITEM_COLUMNS, REVIEW_COLUMNS, CorpusConfig
from llmrec.config.data.events import EVENT_COLUMNS, RELATION_COLUMNS, USER_COLUMNS
from llmrec.config.data.files import ReadingConfig
from llmrec.corpus.formats.known import KNOWN, Known, Names
from llmrec.corpus.readers.detect import Hints
from llmrec.corpus.readers.files import InputFile
from llmrec.schema import ATTRIBUTE_PREFIX, CONTEXT_PREFIX, VECTOR_PREFIX, C

REQUIRED = {
    "reviews": ("user_id", "item_id", "timestamp"),
    "items": ("item_id",),
    "events": ("user_id", "item_id", "timestamp", "kind"),
    "users": ("user_id",),
    "relations": ("follower_id", "followed_id"),
}
_TABLE = Known({name: (name,) for name in REVIEW_COLUMNS}, {name: (name,) for name in ITEM_COLUMNS})


@dataclass(frozen=True)
class Settings:
    """Where the configuration speaks of a kind of files."""

    columns: str  # our column -> theirs
    format: str
    prefix: str = ""  # of the columns that `more` names
    more: str = ""
    ours: tuple[str, ...] = ()  # what the files call them unless they are mapped

    def mapping(self, config: CorpusConfig) -> Mapping[str, Any]:
        """What is set: our column -> theirs."""
        more = getattr(config, self.more) if self.more else {}
        own: dict[str, Any] = getattr(config, self.columns)
        return own | {f"{self.prefix}{name}": theirs for name, theirs in more.items()}


SETTINGS = {
    "reviews": Settings("columns", "review_format", CONTEXT_PREFIX, "context_columns"),
    "items": Settings("item_columns", "item_format", VECTOR_PREFIX, "item_vectors"),
    "events": Settings("event_columns", "event_format", ours=EVENT_COLUMNS),
    "users": Settings("user_columns", "user_format", ATTRIBUTE_PREFIX, "user_attributes", USER_COLUMNS),
    "relations": Settings("relation_columns", "relation_format", ours=RELATION_COLUMNS),
}


def has_reviews(config: CorpusConfig) -> bool:
    """Whether there are any beside the events."""
    return bool(config.sample.reviews if config.source == "sample" else config.reviews)


def known(config: CorpusConfig) -> Known:
    """The corpus that `source` names."""
    return KNOWN.get(config.source, _TABLE)


def names_of(config: CorpusConfig, kind: str) -> Names:
    """The names of the columns of `kind` ("reviews", "items", "events", ...) in this configuration's files."""
    of, settings = known(config), SETTINGS[kind]
    usual: Names = {"reviews": of.reviews, "items": of.items}.get(kind) or {name: (name,) for name in settings.ours}
    return dict(usual) | {name: (theirs,) for name, theirs in settings.mapping(config).items()}


def required(config: CorpusConfig, kind: str) -> set[str]:
    """Our columns that a file must have: those that a row cannot do without, and those that are mapped."""
    told = {C.KIND} if kind == "events" and config.event_kind else set()
    return ({*REQUIRED[kind]} - told) | {*SETTINGS[kind].mapping(config)}


def outermost(config: CorpusConfig, kind: str) -> set[str]:
    """Every name of a file's columns that may be asked for, nested ones by their outermost part too."""
    flat = {part for names in names_of(config, kind).values() for one in names for part in parts_of(one)}
    return flat | {name.partition(".")[0] for name in flat}


def parts_of(theirs: str | tuple[str, ...]) -> tuple[str, ...]:
    """The file's columns behind one name: several where they are joined."""
    return (theirs,) if isinstance(theirs, str) else theirs


def reading_of(config: CorpusConfig, kind: str) -> ReadingConfig:
    """The settings for the files of a kind."""
    found: ReadingConfig = getattr(config, SETTINGS[kind].format)
    return found


def hints_of(config: CorpusConfig, file: InputFile, kind: str) -> Hints:
    """What the corpus is known for, before its file is opened."""
    of, names = known(config), names_of(config, kind)
    alternatives = [
        {part for one in names[name] for part in parts_of(one)} for name in required(config, kind) if name in names
    ]
    first = {min(one) for one in alternatives if len(one) == 1}
    base = PurePosixPath(file.path).name.lower()
    header = next((h for (k, start), h in of.headers.items() if k == kind and _named(base, file, start)), None)
    return Hints(header, of.fallback, of.quoted, of.headless, first or {""}, SETTINGS[kind].format)


def _named(base: str, file: InputFile, start: str) -> bool:
    return base.startswith(start) if not start.startswith(".") else (file.suffixes or [""])[-1] == start
