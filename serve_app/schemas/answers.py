"""Answers of the HTTP API."""

from collections.abc import Sequence
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field

from llmrec.reasons import ItemReasons
from llmrec.reasons.reasons import Kind
from serve_app.messages import GROUNDS, Basis, FoundItems, RankedItems

BASIS = (
    f"what the list rests on: some of {', '.join(GROUNDS)}, joined by _and_, as in history_and_text; `item`: an item "
    "that was named, or of rank the items themselves; popularity where nothing else is known"
)


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
    quote: str | None = Field(
        None, description="verbatim: of the request; of `asked`, of the item's text; of `reviewed`, of a review"
    )


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
    outcomes: dict[str, float] = Field(
        {}, description="where the ranker predicts several (training.ranker.outcomes): calibrated probabilities, among "
        "negatives drawn by popularity; dwell and other values in their own unit, stars as stars",
    )  # fmt: skip
    reasons: Reasons | None = Field(None, description="where the request asks for them")
    propensity: float | None = Field(
        None, description="where slots were drawn: the probability of this item here, given the slots above"
    )


def ranked(found: RankedItems) -> list[RankedItem]:
    """The items of `found` with their ranks, from 1 on the first page."""
    clicks: Sequence[float | None] = found.click_probability or [None] * len(found.item_ids)
    drawn: Sequence[float | None] = found.propensities or [None] * len(found.item_ids)
    why: Sequence[Reasons | None] = [Reasons.of(r) for r in found.reasons] or [None] * len(found.item_ids)
    return [
        RankedItem(item_id=item, rank=found.before + place + 1, score=score, click_probability=click, reasons=reasons,
                   ratings={n: v[place] for n, v in found.ratings.items()}, propensity=propensity,
                   outcomes={n: v[place] for n, v in found.outcomes.items()})
        for place, (item, score, click, reasons, propensity) in enumerate(
            zip(found.item_ids, found.scores, clicks, why, drawn, strict=True))
    ]  # fmt: skip


class UnderstoodRequest(ApiResponse):
    """What of the request counted; ids and values that the bundle does not know are not in it."""

    context: dict[str, str] = Field(description="of `context`, what the bundle has seen")
    recent_items: list[str]
    liked_items: list[str] = Field(description="of somebody known none: their history says more")
    disliked_items: list[str]
    disliked_text: bool | None = Field(description="whether the words matched anything; null where there were none")
    like: str | None


class ItemsResponse(ApiResponse):
    """Items in order, and what the order rests on."""

    bundle: str = Field(description="id of the one bundle that made the whole answer")
    as_of: int = Field(description="milliseconds UTC; only events before this time were considered")
    basis: Basis = Field(description=BASIS)
    reason: str | None = Field(description="why the answer is not, or less, personal; null where it is")
    items: list[RankedItem]
    unknown_items: list[str] = Field(description="ids in the request that the bundle does not know")
    list_id: str | None = Field(None, description="for /v1/feedback; null where the list is not logged")
    arm: str | None = Field(None, description="EXPERIMENT/ARM where the user takes part in an experiment")
    understood: UnderstoodRequest
    without_text: list[str] | None = Field(
        None, description="where the request asks for it: ids, best first, without the ranker's terms of words and the "
        "need; what retrieval owes to words stays",
    )  # fmt: skip
    next: str | None = Field(
        None, description="`cursor` of the page that follows, as of the same bundle and time; null at the end"
    )

    @classmethod
    def of(cls, found: RankedItems) -> Self:
        """The answer that `found` makes."""
        basis = found.provenance
        understood = UnderstoodRequest.model_validate(basis.understood, from_attributes=True)
        return cls(
            bundle=basis.bundle, as_of=basis.as_of, basis=basis.basis, reason=basis.reason, items=ranked(found),
            unknown_items=list(basis.unknown), understood=understood, next=found.next,
            without_text=found.without_text, list_id=found.list_id,
            arm=found.arm,
        )  # fmt: skip


class BatchAnswer(ApiResponse):
    """One of both: what /v1/recommend answers with 200, or with another status."""

    answer: ItemsResponse | None = None
    status: int = 200
    refused: "ErrorResponse | None" = None


class BatchResponse(ApiResponse):
    """In the order of the requests."""

    answers: list[BatchAnswer]


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
    basis: Basis = Field(description=BASIS)
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
    """Items nearest to one item: by cosine, or, by both words and behaviour, by the sum of reciprocal ranks."""

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
