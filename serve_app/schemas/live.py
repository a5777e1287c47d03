"""Requests and answers of the routes that change something: events and items."""

from typing import Annotated, Any, Self

from pydantic import Discriminator, FailFast, Field, Tag

from llmrec.live.event_log import Appended
from serve_app.schemas.answers import ApiResponse
from serve_app.schemas.requests import ApiRequest, Id, Text, examples

#: As a corpus may say it.
Moment = int | float | str


class EventRequest(ApiRequest):
    """What somebody did. The id is the caller's: sent again with the same content, it is counted once."""

    model_config = examples(
        {"event_id": "order-4711", "user_id": "U0000151", "item_id": "P0000053", "stars": 5, "text": "small and quiet"},
        {"event_id": "v-17", "user_id": "U0000151", "item_id": "P0000053", "kind": "dwell", "value": 42},
    )

    event_id: Id = Field(description="one an event; a random UUID will do")
    user_id: Id = Field(description="as in the corpus, or of somebody new")
    item_id: Id | None = Field(
        None, description="as in the corpus; an event of an unknown item is kept, and counts once it is known; only a "
        "search may have none",
    )  # fmt: skip
    kind: Id | None = Field(
        None, description="review, or a kind of events that the corpus has (corpus.event_kinds), such as view; the "
        "outcome's where left out",
    )  # fmt: skip
    timestamp: Moment | None = Field(
        None, description="when, as a corpus may say it: seconds, milliseconds or ISO 8601; now where left out"
    )
    stars: float | None = Field(None, description="of a review, on the corpus's scale")
    value: float | None = Field(None, description="of another kind: seconds of a dwell, pieces of a purchase, ...")
    session: Id | None = Field(None, description="of another kind: the visit that it belongs to")
    text: Text | None = Field(
        None, description="what they wrote in a review: encoded soon, and until then an event without words; of other "
        "kinds, as the words of a search, it is kept",
    )  # fmt: skip


class EventsRequest(ApiRequest):
    """Several events, of which all are logged or none."""

    events: Annotated[list[EventRequest], FailFast()] = Field(min_length=1)


def _which(body: Any) -> str:
    return "several" if isinstance(body, dict) and "events" in body else "one"


#: One event, or several.
AnyEvents = Annotated[
    Annotated[EventRequest, Tag("one")] | Annotated[EventsRequest, Tag("several")], Discriminator(_which)
]


class ItemRequest(ApiRequest):
    """What an item is from now on: all that is known of it, as a corpus may say it."""

    model_config = examples({"title": "A quiet kettle", "brand": "Vohazi", "categories": ["kettle"], "price": 39.5})

    title: Text | None = None
    brand: Text | None = None
    categories: Annotated[list[Text], FailFast()] = Field([], description="the first eight are read")
    description: Text | None = None
    price: float | None = Field(None, ge=0)
    available: bool = Field(True, description="false: in no list until another PUT says otherwise")
    available_from: Moment | None = Field(None, description="in no list before; times as of an event's `timestamp`")
    available_until: Moment | None = Field(None, description="in no list from then on")
    attributes: dict[Id, Text] = Field({}, max_length=32, description="kept in the log; nothing reads them yet")


class LoggedResponse(ApiResponse):
    """On the disk when you read this."""

    stored: int = Field(description="that were new")
    duplicates: int = Field(description="that were there already, with the same content")
    sequence: int = Field(
        description="number of the log's last entry: answers know of these events once `live.sequence` of /v1/model "
        "has reached it, within a moment"
    )

    @classmethod
    def of(cls, done: Appended) -> Self:
        return cls(stored=done.stored, duplicates=done.duplicates, sequence=done.seq)
