"""Requests and answers of the HTTP API. Field limits that the configuration sets are added by `limits`."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, FailFast, Field, model_validator
from pydantic_core import PydanticCustomError

from llmrec.exploration import Exploration, Policy
from llmrec.reasons import ItemReasons
from llmrec.reasons.reasons import Kind
from llmrec.search import Filters
from serve_app.messages import Basis, FoundItems, RankedItems, Restriction


def _whole(number: object) -> object:
    """JSON knows one kind of number: 10.0 is the integer 10."""
    return int(number) if isinstance(number, float) and number.is_integer() else number


Id = Annotated[str, Field(min_length=1, max_length=512)]
Ids = Annotated[list[Id], FailFast()]  # one wrong member is enough: no error for each
Text = Annotated[str, Field(min_length=1)]
MAX_CONTEXTS = 32
MAX_NAMES = 64  # of one filter
Names = Annotated[list[Id], FailFast(), Field(max_length=MAX_NAMES)]


def _examples(*bodies: dict[str, Any]) -> ConfigDict:
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
    liked_items: Ids = Field([], description="ids of items they liked, the latest last")
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
    """Slots chosen by chance. `epsilon`: any candidate alike; `thompson`: by what is not known of items' demand."""

    policy: Policy
    rate: float = Field(ge=0, le=1, description="probability that a slot is drawn; else it holds the best item left")
    seed: Annotated[int | None, BeforeValidator(_whole)] = Field(None, ge=0, description="the same draws the same")


class RecommendRequest(UserRequest):
    """Without a known user, a text or a known liked item the answer is what is popular, and says so."""

    model_config = _examples(
        {"user_id": "U0000151", "k": 5, "reasons": True},
        {"text": "a warm, sturdy one", "need": 0.6},
        {"liked_items": ["P0000053"], "exclude": ["P0000177"]},
    )

    k: Annotated[int, BeforeValidator(_whole)] = Field(10, ge=1, description="number of items wanted")
    exclude: Ids = Field([], description="ids that must not be returned, besides what the user already had")
    explore: Explore | None = Field(None, description="choose slots by chance, each item then with its propensity")
    need: float | None = Field(
        None, ge=0, le=1, description="how much `text`, as what is wanted now, weighs against taste; 1 orders as "
        "/v1/search does, 0 leaves a known user's words unread; `serving.need` where it is not said",
    )  # fmt: skip
    filters: ItemFilters | None = None
    allow_items: list[Id] | None = Field(None, description="only these may be returned")

    def restriction(self) -> Restriction:
        """Which items may come."""
        filters = Filters() if self.filters is None else self.filters.chosen()
        return Restriction(None if self.allow_items is None else tuple(self.allow_items), filters)

    def exploration(self) -> Exploration | None:
        return None if self.explore is None else Exploration(**vars(self.explore))


class SearchRequest(ApiRequest):
    """Words to find items by."""

    model_config = _examples({"text": "quiet kettle", "k": 5, "filters": {"price": {"max": 40}}})

    text: Text = Field(description="what is looked for")
    k: Annotated[int, BeforeValidator(_whole)] = Field(10, ge=1, description="number of items wanted")
    filters: ItemFilters | None = None
    user_id: Id | None = Field(None, description="whose taste orders what matches; what they had may be found, too")

    def restriction(self) -> Restriction:
        """Which items may be found."""
        return Restriction(filters=Filters() if self.filters is None else self.filters.chosen())


class RankRequest(UserRequest):
    """Candidates to order by the probability of a click."""

    model_config = _examples({"user_id": "U0000151", "candidates": ["P0000053", "P0000177"]})

    candidates: Ids = Field(min_length=1)


class EncodeRequest(ApiRequest):
    """Texts to turn into vectors, with the prompt of documents or of queries."""

    model_config = _examples({"texts": ["small and quiet"], "kind": "query"})

    texts: Annotated[list[Text], FailFast()] = Field(min_length=1)
    kind: Literal["document", "query"] = "document"


class ApiResponse(BaseModel):
    """What the server says."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class Because(ApiResponse):
    """A reason in words; several may tell of the same thing, so that effects do not add up."""

    kind: Kind
    statement: str = Field(description='read it after "because"; names and quotes are those of the data')
    effect: float = Field(
        description="in units of the score, against the list's mean candidate: what a kind of terms adds; of wrote, "
        "liked and had how far the score falls where the words or the event are taken away"
    )
    item_id: str | None = Field(None, description="the item that was liked or had")
    quote: str | None = Field(None, description="verbatim: a sentence of the request; of `asked`, of the item's text")


class Reasons(ApiResponse):
    """Why an item has its score."""

    baseline: float = Field(description="mean score of the request's candidates")
    contributions: dict[str, float] = Field(
        description="retrievers' scores, popularity and feature families of the ranker, largest first; they add up to "
        "the score less the baseline"
    )
    because: list[Because]

    @classmethod
    def of(cls, found: ItemReasons) -> Self:
        """The answer that `found` makes."""
        because = [Because(**vars(b)) for b in found.because]
        return cls(baseline=found.baseline, contributions=dict(found.contributions), because=because)


class RankedItem(ApiResponse):
    """One item of a list; rank 1 is best."""

    item_id: str
    rank: int
    score: float = Field(
        description="what the list is ordered by: the second stage's score (recommend, rank; popularity where nothing "
        "is known of the user), the cosine (similar)"
    )
    click_probability: float | None = Field(
        None, description="of a click, among negatives drawn by popularity: popularity is divided out of it; rank alone"
    )
    ratings: dict[str, float] = Field(
        {}, description="by each rater of the bundle (training.raters): stars, or the probability of a like; rank alone"
    )
    reasons: Reasons | None = Field(None, description="where the request asks for them")
    propensity: float | None = Field(
        None, description="where slots were drawn: the probability of this item here, given the slots above"
    )


def ranked(found: RankedItems) -> list[RankedItem]:
    """The items of `found` with their ranks, from 1."""
    clicks: Sequence[float | None] = found.click_probability or [None] * len(found.item_ids)
    drawn: Sequence[float | None] = found.propensities or [None] * len(found.item_ids)
    why: Sequence[Reasons | None] = [Reasons.of(r) for r in found.reasons] or [None] * len(found.item_ids)
    return [
        RankedItem(item_id=item, rank=place + 1, score=score, ratings={n: v[place] for n, v in found.ratings.items()},
                   click_probability=click, reasons=reasons, propensity=propensity)
        for place, (item, score, click, reasons, propensity) in enumerate(
            zip(found.item_ids, found.scores, clicks, why, drawn, strict=True))
    ]  # fmt: skip


class ItemsResponse(ApiResponse):
    """Items in order, and what the order rests on."""

    bundle: str = Field(description="id of the one bundle that made the whole answer")
    as_of: int = Field(description="milliseconds UTC; only events before this time were considered")
    basis: Basis
    reason: str | None = Field(description="why the answer is not, or less, personal; null where it is")
    items: list[RankedItem]
    unknown_items: list[str] = Field(description="ids in the request that the bundle does not know")

    @classmethod
    def of(cls, found: RankedItems) -> Self:
        """The answer that `found` makes."""
        basis = found.provenance
        return cls(
            bundle=basis.bundle, as_of=basis.as_of, basis=basis.basis, reason=basis.reason, items=ranked(found),
            unknown_items=list(basis.unknown),
        )  # fmt: skip


class FoundText(ApiResponse):
    """Part of an item's own text, verbatim, and the words of it that matched, as they stand in it."""

    field: Literal["title", "categories", "brand", "description"]
    text: str
    words: list[str]


class SearchedItem(ApiResponse):
    """One item that was found; rank 1 is best."""

    item_id: str
    rank: int
    score: float = Field(description="sum of reciprocal ranks over the lists that found it; log popularity if none did")
    title: str | None
    matched: list[Literal["words", "vectors"]] = Field(description="which lists found it; none: it is popular")
    highlights: list[FoundText]


class SearchResponse(ApiResponse):
    """What matched; where nothing did, what is popular: `basis` and `reason` say so."""

    bundle: str
    as_of: int = Field(description="milliseconds UTC; only items known before this time were considered")
    basis: Basis
    reason: str | None
    items: list[SearchedItem]

    @classmethod
    def of(cls, found: FoundItems) -> Self:
        """The answer that `found` makes."""
        basis = found.provenance
        items = [
            SearchedItem(
                item_id=i.item_id, rank=place, score=i.score, title=i.title, matched=list(i.matched),
                highlights=[FoundText(field=h.field, text=h.text, words=list(h.words)) for h in i.highlights],
            )
            for place, i in enumerate(found.items, 1)
        ]  # fmt: skip
        return cls(bundle=basis.bundle, as_of=basis.as_of, basis=basis.basis, reason=basis.reason, items=items)


class SimilarResponse(ApiResponse):
    """Items nearest to one item in the retriever's space, by cosine."""

    bundle: str
    item_id: str
    items: list[RankedItem]


class EncodeResponse(ApiResponse):
    """EncodedTexts in the order of the texts."""

    encoder: str = Field(description="fingerprint: two equal ones mean comparable vectors")
    dim: int
    vectors: list[list[float]]
    n_tokens: list[int] = Field(description="tokens the encoder read, after truncation")
    n_unknown: list[int] = Field(description="of them unknown to the encoder's vocabulary")


class ModelResponse(ApiResponse):
    """What is being served."""

    bundle: str
    as_of: int
    encoder: str | None = Field(description="fingerprint of the encoder that the bundle was fitted with")
    users: int
    items: int
    card: dict[str, Any]
    limits: dict[str, int]
    refused: dict[str, str] = Field(description="bundles that were offered and not taken, with the reason")
    live: dict[str, int] | None = Field(
        description="of live events: the last entry of the log that answers know of, and what became of the events; "
        "null where they are off"
    )


class HealthResponse(ApiResponse):
    """The process lives."""

    status: Literal["ok"] = "ok"


class ReadyResponse(ApiResponse):
    """Whether every part can answer, and what each says."""

    ready: bool
    checks: dict[str, str]


class Problem(ApiResponse):
    """One error. `where` is the path to the field; the offending value is never repeated."""

    code: str
    message: str
    where: str | None = None


class ErrorResponse(ApiResponse):
    """Every answer of the application that is not 2xx (Serve's proxy, before it, says 429 and 503 in plain text)."""

    error: Problem
    details: list[Problem] = []


#: Every name that a request may use; errors name no other.
_OF_EVENTS = {"events", "event_id", "timestamp", "stars"}
_OF_ITEMS = {"item_id", "title", "brand", "categories", "description", "price", "attributes"}
FIELDS = frozenset({"body", "path", "query"} | _OF_EVENTS | _OF_ITEMS).union(
    *(
        model.model_fields
        for model in (RecommendRequest, RankRequest, EncodeRequest, Explore, SearchRequest, ItemFilters, PriceRange)
    )
)
