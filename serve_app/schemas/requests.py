"""Requests of the HTTP API. Field limits that the configuration sets are added by `limits`."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, FailFast, Field, model_validator
from pydantic_core import PydanticCustomError

from llmrec.diversity import Method
from llmrec.exploration import Exploration, Policy
from llmrec.search import Filters
from serve_app.messages import Restriction


def _whole(number: object) -> object:
    """JSON knows one kind of number: 10.0 is the integer 10."""
    return int(number) if isinstance(number, float) and number.is_integer() else number


Id = Annotated[str, Field(min_length=1, max_length=512)]
Ids = Annotated[list[Id], FailFast()]  # one wrong member is enough: no error for each
Text = Annotated[str, Field(min_length=1)]
MAX_CONTEXTS = 32
MAX_CURSOR = 16_384
MAX_NAMES = 64  # of one filter
Names = Annotated[list[Id], FailFast(), Field(max_length=MAX_NAMES)]


def examples(*bodies: dict[str, Any]) -> ConfigDict:
    """For the OpenAPI."""
    return ConfigDict(json_schema_extra={"examples": list(bodies)})


class ApiRequest(BaseModel):
    """Unknown fields, wrong types, NaN and infinities are refused; nothing is coerced."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


class PriceRange(ApiRequest):
    """Both ends belong to it."""

    min: float | None = None
    max: float | None = None


class ItemFilters(ApiRequest):
    """Every filter that is given must hold; names whatever their case. An item of unknown price passes no price."""

    category: Names = Field([], description="any of these, as in the corpus's categories")
    brand: Names = Field([], description="any of these")
    price: PriceRange | None = None

    @model_validator(mode="before")
    @classmethod
    def _attributes_exist(cls, found: object) -> object:
        """Say which there are; the caller's own name is never repeated."""
        if isinstance(found, dict) and not found.keys() <= cls.model_fields.keys():
            known = ", ".join(sorted(cls.model_fields))
            raise PydanticCustomError("unknown_attribute", f"unknown attribute, expected some of: {known}")
        return found

    def chosen(self) -> Filters:
        price = self.price or PriceRange()
        return Filters(tuple(self.category), tuple(self.brand), price.min, price.max)


class UserRequest(ApiRequest):
    """Who asks. A known `user_id` is answered from their history; else `text` and `liked_items` describe them."""

    user_id: Id | None = Field(None, description="as in the corpus; unknown ones fall back to the fields below")
    text: Text | None = Field(None, description="the wish or taste in words, in any language the encoder knows")
    liked_items: Ids = Field([], description="ids of items they liked, the latest last; a known user's are not read")
    recent_items: Ids = Field(
        [],
        description="ids of what they took in this session, the latest last: counted as events of now, for this "
        "answer only, whoever asks",
    )
    context: dict[Id, Id] = Field(
        {},
        max_length=MAX_CONTEXTS,
        description='where they ask from, by the names of `corpus.context_columns`: {"device": "mobile"}; names and '
        "values that the bundle does not know say nothing",
    )
    reasons: bool = Field(
        False, description="also say why each item stands where it does; some 10 ms a past event more"
    )


class Explore(ApiRequest):
    """Slots chosen by chance. `epsilon`: any candidate alike; `thompson`: by what is not known of items' demand;
    `linucb`: what feedback on lists drawn so far lets hope for most."""

    policy: Policy
    rate: float = Field(ge=0, le=1, description="probability that a slot is drawn; else it holds the best item left")
    seed: Annotated[int | None, BeforeValidator(_whole)] = Field(None, ge=0, description="the same draws the same")


class Diversify(ApiRequest):
    """How far the items of a list are to differ, by their words, brand and categories."""

    method: Method = Field("mmr", description="maximal marginal relevance, or a determinantal point process")
    weight: float = Field(ge=0, le=1, description="0: the best, however alike; 1: what differs most, however good")


class RecommendRequest(UserRequest):
    """Without a known user, a text or a known liked item the answer is what is popular, and says so."""

    model_config = examples(
        {"user_id": "U0000151", "k": 5, "reasons": True},
        {"text": "a warm, sturdy one", "need": 0.6},
        {"liked_items": ["P0000053"], "exclude": ["P0000177"]},
        {"user_id": "U0000151", "recent_items": ["P0000053"], "disliked_items": ["P0000177"], "disliked_text": "loud"},
        {"like": "P0000053", "text": "but smaller", "diversity": {"method": "mmr", "weight": 0.3}},
    )

    k: Annotated[int, BeforeValidator(_whole)] = Field(10, ge=1, description="number of items wanted")
    exclude: Ids = Field([], description="ids that must not be returned, besides what the user already had")
    explore: Explore | None = Field(None, description="choose slots by chance, each item then with its propensity")
    need: float | None = Field(
        None, ge=0, le=1, description="how much `text`, as what is wanted now, weighs against taste; 1 orders as "
        "/v1/search does, 0 leaves a known user's words unread; `serving.need` where it is not said",
    )  # fmt: skip
    without_text: bool = Field(
        False, description="also list the best of the same candidates without what words add to their scores"
    )
    like: Id | None = Field(None, description="more like this item, `need` being how much that weighs against taste")
    disliked_items: Ids = Field([], description="not these, and less of what is like them")
    disliked_text: Text | None = Field(None, description="less of what answers these words")
    diversity: Diversify | None = Field(None, description="`serving.diversity` where it is not said")
    cursor: str | None = Field(
        None, min_length=1, max_length=MAX_CURSOR, description="`next` of the page before; all else but `k` as it was"
    )
    filters: ItemFilters | None = None
    allow_items: list[Id] | None = Field(None, description="only these may be returned")

    def restriction(self) -> Restriction:
        """Which items may come."""
        filters = Filters() if self.filters is None else self.filters.chosen()
        return Restriction(None if self.allow_items is None else tuple(self.allow_items), filters)

    def exploration(self) -> Exploration | None:
        return None if self.explore is None else Exploration(**vars(self.explore))


class BatchRequest(ApiRequest):
    """Several bodies of `/v1/recommend`, each answered or refused on its own."""

    model_config = examples({"requests": [{"user_id": "U0000151", "k": 5}, {"text": "a warm, sturdy one"}]})

    requests: list[dict[str, Any]] = Field(min_length=1)


class SearchRequest(ApiRequest):
    """Words to find items by."""

    model_config = examples({"text": "quiet kettle", "k": 5, "filters": {"price": {"max": 40}}})

    text: Text = Field(description="what is looked for")
    k: Annotated[int, BeforeValidator(_whole)] = Field(10, ge=1, description="number of items wanted")
    filters: ItemFilters | None = None
    user_id: Id | None = Field(None, description="whose taste orders what matches; what they had may be found, too")

    def restriction(self) -> Restriction:
        """Which items may be found."""
        return Restriction(filters=Filters() if self.filters is None else self.filters.chosen())


class RankRequest(UserRequest):
    """Candidates to order by the probability of a click."""

    model_config = examples({"user_id": "U0000151", "candidates": ["P0000053", "P0000177"]})

    candidates: Ids = Field(min_length=1)


class EncodeRequest(ApiRequest):
    """Texts to turn into vectors, with the prompt of documents or of queries."""

    model_config = examples({"texts": ["small and quiet"], "kind": "query"})

    texts: Annotated[list[Text], FailFast()] = Field(min_length=1)
    kind: Literal["document", "query"] = "document"


#: Every name that a request may use; errors name no other.
_OF_EVENTS = {"events", "event_id", "timestamp", "stars"}
_OF_FEEDBACK = {"list_id", "kind"}
_OF_ITEMS = {"item_id", "title", "brand", "categories", "description", "price", "attributes", "available",
             "available_from", "available_until"}  # fmt: skip
FIELDS = frozenset({"body", "path", "query"} | _OF_EVENTS | _OF_ITEMS | _OF_FEEDBACK).union(
    *(
        model.model_fields
        for model in (
            RecommendRequest,
            RankRequest,
            EncodeRequest,
            Explore,
            SearchRequest,
            ItemFilters,
            PriceRange,
            Diversify,
            BatchRequest,
        )
    )
)
