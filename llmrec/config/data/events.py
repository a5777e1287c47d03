"""Section `corpus`, all that is no review: events of many kinds, users' attributes, who follows whom, the outcome."""

from collections.abc import Iterable
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints, model_validator

from llmrec.config.base import ColumnName, Paths, Section, Theirs
from llmrec.config.data.files import ReadingConfig
from llmrec.names import EVENT_KINDS, nearest

#: Our names that `event_columns`, `user_columns` and `relation_columns` may map.
EVENT_COLUMNS = ("event_id", "user_id", "item_id", "timestamp", "kind", "value", "session", "text")
USER_COLUMNS = ("user_id",)
RELATION_COLUMNS = ("follower_id", "followed_id", "since")
#: The outcome that is no event: somebody reviewed an item.
REVIEW = "review"

Kind = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$")]


class OutcomeConfig(Section):
    """What is predicted. `purchase` is written short for `{kind: purchase}`, `{dwell: {at_least: 30}}` for a value."""

    kind: Kind = Field(REVIEW, description="review, or the kind of events that are the positives")
    at_least: float | None = Field(None, description="least `value` of such an event; left out: any counts")

    @model_validator(mode="before")
    @classmethod
    def _short(cls, given: Any) -> Any:
        if isinstance(given, str):
            return {"kind": given}
        if isinstance(given, dict) and len(given) == 1 and "kind" not in given and "at_least" not in given:
            ((kind, value),) = given.items()
            return {"kind": kind, **(value if isinstance(value, dict) else {"at_least": value})}
        return given


class EventsConfig(Section):
    """Files beside the reviews, and which of what they hold is the outcome."""

    events: Paths = Field((), description="paths, globs or URIs of event files: views, purchases, plays, searches, ...")
    event_columns: dict[str, Theirs] = Field({}, description="our column -> the event files'")
    event_format: ReadingConfig = Field(ReadingConfig(), description="how the event files are written")
    event_kind: Kind | None = Field(None, description="what all events are, where the files have no column of kinds")
    event_kinds: dict[str, Kind] = Field({}, description="a kind as the files have it -> as it is called here")
    event_repeats: dict[Kind, Literal["keep", "last", "sum"]] = Field(
        {},
        description="kind -> what becomes of a pair that comes again within a visit (a session; without one, a day): "
        "each an event, the last alone, or one at the time of the last with the sum of the values; left out: keep",
    )
    users: Paths = Field((), description="paths, globs or URIs of files of users")
    user_columns: dict[str, Theirs] = Field({}, description="our column -> the user files'")
    user_format: ReadingConfig = Field(ReadingConfig(), description="how the user files are written")
    user_attributes: dict[ColumnName, str] = Field(
        {},
        description="name -> column of the user files with a label (age band, gender, place): family user_attributes",
    )
    relations: Paths = Field((), description="paths, globs or URIs of files of who follows whom")
    relation_columns: dict[str, Theirs] = Field({}, description="our column -> the relation files'")
    relation_format: ReadingConfig = Field(ReadingConfig(), description="how the relation files are written")
    outcome: OutcomeConfig = Field(
        OutcomeConfig(), description="what is predicted: review, purchase, {dwell: {at_least: 30}}, ..."
    )
    exclude_seen: bool | Literal["auto"] = Field(
        "auto",
        description="whether what a user had is no candidate; auto: yes, but for an outcome of events of which more "
        "than 5 % repeat a pair",
    )

    @model_validator(mode="after")
    def _kinds_exist(self) -> "EventsConfig":
        own = own_kinds(self)
        _check("outcome", [self.outcome.kind], (REVIEW, *EVENT_KINDS, *sorted(own)))
        _check("event_repeats", self.event_repeats, (*EVENT_KINDS, *sorted(own)))
        if REVIEW in own:
            raise ValueError("event_kinds: found 'review', which is no event; expected another name for that kind")
        if self.outcome.kind == REVIEW and self.outcome.at_least is not None:
            raise ValueError("outcome: a review has no value: found at_least, expected it of a kind of events alone")
        return self

    @model_validator(mode="after")
    def _event_columns_are_ours(self) -> "EventsConfig":
        for name, mapping, ours in (
            ("event_columns", self.event_columns, EVENT_COLUMNS),
            ("user_columns", self.user_columns, USER_COLUMNS),
            ("relation_columns", self.relation_columns, RELATION_COLUMNS),
        ):
            for unknown in sorted(set(mapping) - set(ours)):
                raise ValueError(
                    f"{name} maps {unknown!r}, which llmrec does not know; the nearest is {nearest(unknown, ours)!r}; "
                    f"allowed: {', '.join(ours)}" + "; attributes go to user_attributes" * (name == "user_columns")
                )
        return self


def own_kinds(config: EventsConfig) -> set[str]:
    """Kinds of events that the configuration names itself."""
    return {*config.event_kinds.values(), *([config.event_kind] if config.event_kind else [])}


def _check(where: str, names: Iterable[str], known: tuple[str, ...]) -> None:
    for name in names:
        if name not in known:
            raise ValueError(
                f"{where}: no kind of events {name!r}; the nearest is {nearest(name, known)!r} of {', '.join(known)}; "
                "a kind of the corpus's own is named in event_kinds"
            )
