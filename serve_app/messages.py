"""What the deployments say to each other. A request names its bundle version; who does not hold it answers NotHeld."""

from collections.abc import Awaitable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt

from llmrec.diversity import Diversity
from llmrec.exploration import Exploration, Explored
from llmrec.reasons import ItemReasons
from llmrec.recommender import CandidateSet
from llmrec.search import Filters, Highlight, NeededItems

Floats = npt.NDArray[np.float32]
TextKind = Literal["document", "query"]
#: What a text would be for: a newcomer's taste, and a need (`read`; `encode_and_read` where the bundle has a reader),
#: or a need alone (`need`); where the bundle has no search index, nothing: a known user is answered from their history,
#: and some bundles read no text.
TextUse = Literal["read", "encode_and_read", "need", "known_user", "bundle_without_text"]
#: What an answer can rest on, in the order in which it is named: `history_and_text`; `popularity` where on none of it.
GROUNDS = ("history", "recent_items", "text", "liked_items", "item")
Basis = str
#: By what two items are alike: what is written of them, who took them, or either.
By = Literal["words", "behaviour", "both"]
NOTHING_MATCHED = "nothing_matched_your_words"


def basis_of(*grounds: str) -> Basis:
    """The name of some of GROUNDS together."""
    return "_and_".join(ground for ground in GROUNDS if ground in grounds) or "popularity"


@dataclass(frozen=True)
class EncodedTexts:
    """Encoded texts: vectors (n, dim) and token counts (n,), with the fingerprint of the encoder that made them."""

    encoder: str
    vectors: Floats
    n_tokens: list[int]
    n_unknown: list[int]
    one_prompt: bool = True  # a text is the same vector as a document and as a query


@dataclass(frozen=True)
class Wish:
    """Words, and their vector (dim,) as a query."""

    text: str
    vector: Floats | None = None


@dataclass(frozen=True)
class Restriction:
    """Which items may be answered: those of `allow` (None: any) that pass the filters."""

    allow: tuple[str, ...] | None = None
    filters: Filters = field(default_factory=Filters)

    def __bool__(self) -> bool:
        return self != Restriction()


@dataclass(frozen=True)
class RequestUser:
    """Who asks and in which context, the text already encoded: `vector` (dim,) made by the encoder called `encoder`.

    `reasons`: whether they ask why, too; `sentences` of their text and the `sentence_vectors` of these are for that.
    `explore`: how slots are to be chosen by chance, where they are; `diversity`: how they are to differ.
    `recent`: what they took just now, oldest first. `like`: more of that item; `disliked` and `unwanted`: less of those
    items and words, and `need` what a wish weighs. `listed` (n,): hashes of the items on the pages before.
    """

    user_id: str | None = None
    liked: tuple[str, ...] = ()
    recent: tuple[str, ...] = ()
    disliked: tuple[str, ...] = ()
    like: str | None = None
    unwanted: Wish | None = None
    need: float = 0.0
    diversity: Diversity | None = None
    listed: npt.NDArray[np.uint64] | None = None
    vector: Floats | None = None
    encoder: str | None = None
    context: Mapping[str, str] = field(default_factory=dict)
    reasons: bool = False
    quotes: bool = False  # whether reasons may quote reviews
    compare: bool = False  # whether they ask for the list without words, too
    sentences: tuple[str, ...] = ()
    sentence_vectors: Floats | None = None  # (len(sentences), dim)
    explore: Exploration | None = None
    bundle: str | None = None  # which answers, one that replicas hold for an experiment; None: the newest
    wish: Wish | None = None
    only: Restriction = Restriction()
    words: "WordsRead | None" = None

    def unheard(self) -> "RequestUser":
        """The same without vectors: what no bundle here can read. The words themselves still find."""
        wish, unwanted = (said and replace(said, vector=None) for said in (self.wish, self.unwanted))
        return replace(
            self, vector=None, encoder=None, sentences=(), sentence_vectors=None, words=None, wish=wish,
            unwanted=unwanted,
        )  # fmt: skip


@dataclass(frozen=True)
class WordsRead:
    """What the bundle's reader, of that fingerprint, read: (R,); None where it does not read in a server."""

    reader: str
    row: Floats | None


@dataclass(frozen=True)
class NotHeld:
    """The answer of a replica that does not hold what was asked for; `held` are its versions, the newest first."""

    wanted: str
    held: tuple[str, ...]


@dataclass(frozen=True)
class Understood:
    """What of a request counted: ids and context values that the bundle knows, and whether unwanted words matched."""

    context: Mapping[str, str] = field(default_factory=dict)
    recent_items: tuple[str, ...] = ()
    liked_items: tuple[str, ...] = ()
    disliked_items: tuple[str, ...] = ()
    disliked_text: bool | None = None  # None: there were none
    like: str | None = None


@dataclass(frozen=True)
class Provenance:
    """What an answer rests on: one bundle, one moment (ms UTC), and what was known of the user."""

    bundle: str
    as_of: int
    basis: Basis
    reason: str | None = None
    unknown: tuple[str, ...] = ()  # ids in the request that the bundle does not know
    understood: Understood = Understood()


@dataclass(frozen=True)
class Candidates:
    """The first stage's answer, as `Recommender.retrieve` gives it: of one user, rows being that bundle's."""

    provenance: Provenance
    found: CandidateSet
    needed: NeededItems | None = None  # with what answers the need, where there is one

    @property
    def count(self) -> int:
        return int((self.found.rows[0] > 0).sum()) if self.needed is None else len(self.needed.rows)


@dataclass(frozen=True)
class RankedItems:
    """Items, the best first."""

    provenance: Provenance
    item_ids: list[str]
    scores: list[float]
    ratings: dict[str, list[float]] = field(default_factory=dict)  # rater -> a number an item
    click_probability: list[float] = field(default_factory=list)  # an item each, or none
    outcomes: dict[str, list[float]] = field(default_factory=dict)  # outcome -> a prediction an item
    reasons: list[ItemReasons] = field(default_factory=list)  # an item each, or none where nobody asked
    propensities: list[float] = field(default_factory=list)  # an item each, or none where nothing was drawn
    explored: Explored | None = None  # where slots were drawn, with what the columns of its contexts are:
    terms: tuple[str, ...] = ()
    list_id: str | None = None  # by which feedback names the list, where it is logged
    arm: str | None = None  # EXPERIMENT/ARM, where the user takes part in one
    without_text: list[str] | None = None  # the same candidates without what words add, where somebody asked
    before: int = 0  # how many items stand on the pages before
    next: str | None = None  # the cursor of the page that follows


@dataclass(frozen=True)
class FoundItem:
    """An item that a search found, and why."""

    item_id: str
    score: float
    title: str | None
    matched: tuple[Literal["words", "vectors"], ...] = ()
    highlights: tuple[Highlight, ...] = ()


@dataclass(frozen=True)
class FoundItems:
    """Items, the best first; with basis `popularity` nothing matched."""

    provenance: Provenance
    items: tuple[FoundItem, ...]


@dataclass(frozen=True)
class ItemCard:
    """What to show of an item. `title`: its id where the bundle holds none; `reviews`: before the bundle's clock."""

    item_id: str
    title: str
    brand: str | None = None
    categories: tuple[str, ...] = ()
    price: float | None = None
    description: str | None = None
    reviews: int = 0


@dataclass(frozen=True)
class ModelDescription:
    """What a replica holds, for /v1/model and /readyz."""

    bundle: str
    as_of: int
    encoder: str | None
    users: int
    items: int
    card: dict[str, Any]
    refused: dict[str, str]
    live: dict[str, int] | None = None  # what of the log was seen; None where live events are off


class EncoderClient(Protocol):
    """Texts to vectors."""

    def encode(self, texts: list[str], kind: TextKind, urgent: bool) -> Awaitable[EncodedTexts]: ...
    def describe(self) -> Awaitable[str]: ...


class RetrieverClient(Protocol):
    """First stage. `version` None means the newest that the replica holds; `time` None the bundle's own."""

    def retrieve(
        self, user: RequestUser, exclude: tuple[str, ...], time: int | None, version: str | None
    ) -> Awaitable[Candidates | NotHeld]: ...
    def text_use(self, user_id: str | None, time: int | None) -> Awaitable[TextUse]: ...
    def read(self, text: str, vector: Floats, encoder: str | None) -> Awaitable[WordsRead | NotHeld]: ...
    def similar(self, item_id: str, k: int, by: By, time: int | None) -> Awaitable[RankedItems]: ...
    def cards(self, ids: list[str]) -> Awaitable[list[ItemCard]]: ...
    def some_users(self) -> Awaitable[list[str]]: ...
    def search(self, user: RequestUser, time: int | None, k: int) -> Awaitable[FoundItems | NotHeld | None]: ...
    def describe(self) -> Awaitable[ModelDescription]: ...


class RecommenderClient(Protocol):
    """Both stages in one replica: the best items, and how many candidates they were chosen from."""

    def recommend(
        self, user: RequestUser, exclude: tuple[str, ...], time: int | None, k: int
    ) -> Awaitable[tuple[RankedItems, int] | NotHeld]: ...


class RankerClient(Protocol):
    """Second stage."""

    def order(self, user: RequestUser, candidates: Candidates, k: int) -> Awaitable[RankedItems | NotHeld]: ...
    def rank(self, user: RequestUser, candidates: list[str], time: int | None) -> Awaitable[RankedItems | NotHeld]: ...
    def describe(self) -> Awaitable[ModelDescription]: ...
