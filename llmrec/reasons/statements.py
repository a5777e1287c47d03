"""Terms and effects as sentences. Each says no more than the numbers do; names and quotes are those of the data."""

from collections.abc import Mapping
from typing import Literal

from llmrec.features.families.behaviour import RATE
from llmrec.models.attribution import IDS
from llmrec.models.blenders.prior_correction import POPULARITY
from llmrec.reasons.contributions import OTHER, RETRIEVER
from llmrec.reasons.reasons import Because, Kind
from llmrec.recommender import WORTH
from llmrec.schema import VECTOR_PREFIX
from llmrec.variants import TEXT_PREFIX

#: Family or term, or its beginning -> what kind of reason it is.
_KINDS: dict[str, Kind] = {
    POPULARITY: "popularity", RATE: "popularity", "item_popularity": "popularity", "item_rate": "popularity",
    **{f"{RETRIEVER}{name}": "popularity" for name in ("popularity", "recent_popularity", "time_at_risk")},
    "text_read_profiles": "words", "text_read_": "aspects",
    f"{RETRIEVER}{TEXT_PREFIX}": "words", RETRIEVER: "behaviour", "collaborative": "behaviour",
    "event_": "behaviour", "followed": "behaviour",
    "cross_": "behaviour", "user_": "behaviour", TEXT_PREFIX: "words", "item_stars": "stars",
    "item_attributes": "attributes", "shared_attributes": "attributes", VECTOR_PREFIX: "attributes",
    "item_price": "price", "item_age": "age", "context": "context", IDS: "ids", WORTH: "outcomes",
    OTHER: "other",
}  # fmt: skip
_SAID: dict[Kind, str] = {
    "behaviour": "it goes with what you had, judged by what others had together",
    "words": "what is written of it, beside what you wrote and had, speaks for it",
    "aspects": "what was read in its reviews, beside what was read in yours, speaks for it",
    "stars": "the stars that it was given speak for it",
    "attributes": "its brand, its categories or what it looks like speak for it",
    "price": "its price speaks for it",
    "age": "how long it has been known speaks for it",
    "context": "when and where you ask speaks for it",
    "ids": "what the model learned of you and of it as such speaks for it",
    "outcomes": "what it may lead to, once chosen, speaks for it",
    "other": "terms of the model together speak for it",
}
#: What was an item to the user.
Past = Literal["liked", "had", "just_had"]
#: Of what speaks for an item in all, below which a reason is not worth saying; and how many are.
LEAST, MOST = 0.1, 4


def kind_of(term: str) -> Kind:
    """What kind of reason a term of `Contributions` is."""
    return next((kind for start, kind in _KINDS.items() if term.startswith(start)), "other")


def by_kind(contributions: Mapping[str, float]) -> dict[Kind, float]:
    """Kind -> the sum of its terms."""
    found: dict[Kind, float] = {}
    for term, value in contributions.items():
        found[kind_of(term)] = found.get(kind_of(term), 0.0) + value
    return found


def statements(
    contributions: Mapping[str, float], personal: list[Because], events: float, mean: float, aspect: str | None = None
) -> list[Because]:
    """The reasons that weigh most, first: of `personal` and of the kinds of terms.

    `events`: how often the item was reviewed before the request; `mean`: a candidate on average; `aspect`: what its
    reviews praise, as a sentence.
    """
    said = _SAID | {"popularity": _popularity(events, mean)} | ({"aspects": aspect} if aspect else {})
    kinds = {kind: value for kind, value in by_kind(contributions).items() if value > 0}
    least = LEAST * sum(kinds.values())
    found = [b for b in personal if b.effect > 0 and b.effect >= least]
    told = {"behaviour", "words"} if found else set()  # the same, less plainly
    for kind, value in kinds.items():
        if value >= least and kind not in told:
            found.append(Because(kind, said[kind], value))
    found.sort(key=lambda because: -because.effect)
    if not found:
        return [Because("nothing", "nothing speaks for it more than for a candidate on average", 0.0)]
    return found[:MOST]


def _popularity(events: float, mean: float) -> str:
    if events >= mean:
        return f"it is popular: {events:.0f} reviews so far, {mean:.1f} on average among the candidates"
    return f"how few reviews it has speaks for it: {events:.0f} so far, {mean:.1f} on average among the candidates"


def wrote(quote: str, effect: float) -> Because:
    """`quote`: verbatim from the request."""
    return Because("wrote", f"you wrote “{quote}”", effect, quote=quote)


def past(item_id: str, kind: Past, effect: float) -> Because:
    """Of an item that the user had; `liked` where its stars, or the request, say so; `just_had` in this session."""
    return Because(kind, f"you {kind.replace('_', ' ')} {item_id}", effect, item_id)
