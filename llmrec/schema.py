"""Column names and the Arrow schema of every table that crosses a stage. Written once, here.

Ids from outside are strings (`user_id`, `item_id`); dense indices are integers (`user_idx`, `item_idx`; 0 is
"unknown"). Times are int64 milliseconds since the Unix epoch, UTC.
"""

import hashlib
from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

DAY_MS = 86_400_000


class Column:
    """Every column name that two modules share."""

    REVIEW_ID = "review_id"
    USER_ID = "user_id"
    ITEM_ID = "item_id"
    TIMESTAMP = "timestamp"
    EVENT_ORDER = "event_order"  # uint64 that orders events of one timestamp, see `event_order`
    STARS = "stars"
    TITLE = "title"
    TEXT = "text"
    DESCRIPTION = "description"
    BRAND = "brand"
    PRICE = "price"
    CATEGORIES = "categories"
    AVAILABLE_FROM = "available_from"
    AVAILABLE_UNTIL = "available_until"
    SOURCE = "source"
    LINE = "line"
    REASON = "reason"
    DETAIL = "detail"
    RAW = "raw"
    KEY = "key"
    KIND = "kind"
    EVENT_ID = "event_id"
    VALUE = "value"
    SESSION = "session"
    FOLLOWER_ID = "follower_id"
    FOLLOWED_ID = "followed_id"
    SINCE = "since"
    OUTCOME = "outcome"
    VECTOR = "vector"
    N_TOKENS = "n_tokens"
    N_UNKNOWN = "n_unknown"
    USER_IDX = "user_idx"
    ITEM_IDX = "item_idx"
    SPLIT = "split"
    CANDIDATE = "candidate"
    CLICK = "click"
    LIKE = "like"
    HISTORY = "history"
    HISTORY_AGES = "history_ages"
    USER_FEATURES = "user_features"
    ITEM_FEATURES = "item_features"
    PAIR_FEATURES = "pair_features"
    QUERY_ID = "query_id"
    RANK = "rank"
    SCORE = "score"
    LABEL = "label"
    PROBABILITY = "probability"
    SIDE = "side"
    FAMILY = "family"
    WEIGHT = "weight"


C = Column

REVIEWS = pa.schema(
    [
        pa.field(C.REVIEW_ID, pa.string(), nullable=False),
        pa.field(C.USER_ID, pa.string(), nullable=False),
        pa.field(C.ITEM_ID, pa.string(), nullable=False),
        pa.field(C.TIMESTAMP, pa.int64(), nullable=False),
        pa.field(C.EVENT_ORDER, pa.uint64(), nullable=False),
        pa.field(C.STARS, pa.float32()),  # null where the corpus has no stars
        pa.field(C.TITLE, pa.string()),
        pa.field(C.TEXT, pa.string()),
    ]
)

ITEMS = pa.schema(
    [
        pa.field(C.ITEM_ID, pa.string(), nullable=False),
        pa.field(C.TITLE, pa.string()),
        pa.field(C.DESCRIPTION, pa.string()),
        pa.field(C.BRAND, pa.string()),
        pa.field(C.PRICE, pa.float32()),
        pa.field(C.CATEGORIES, pa.list_(pa.string())),
        pa.field(C.AVAILABLE_FROM, pa.int64()),  # ms; null: known from its first event
        pa.field(C.AVAILABLE_UNTIL, pa.int64()),  # ms, from which on a server lists it no more; null: none, 0: already
    ]
)

#: Columns of `items` that hold the vectors of `corpus.item_vectors`, before the vector's name.
VECTOR_PREFIX = "vector_"


def items_schema(vectors: Iterable[str]) -> pa.Schema:
    """ITEMS with a column `vector_NAME` for each name: finite numbers, one length a column, null where none."""
    return pa.schema([*ITEMS, *(pa.field(f"{VECTOR_PREFIX}{name}", pa.list_(pa.float32())) for name in vectors)])


#: Columns of `reviews` that hold what `corpus.context_columns` names, before that name.
CONTEXT_PREFIX = "context_"


def reviews_schema(contexts: Iterable[str], outcome: bool = False) -> pa.Schema:
    """REVIEWS with a column `context_NAME` for each name: a label, null where none is given.

    `outcome`: with the column that tells which rows are asked for; without it all of them are.
    """
    more = [pa.field(C.OUTCOME, pa.bool_(), nullable=False)] * outcome
    return pa.schema([*REVIEWS, *(pa.field(f"{CONTEXT_PREFIX}{name}", pa.string()) for name in contexts), *more])


#: What somebody did, in order of (timestamp, event_order, event_id): every kind, the outcome's too.
EVENTS = pa.schema(
    [
        pa.field(C.EVENT_ID, pa.string(), nullable=False),  # the corpus's own, else see `event_id`
        pa.field(C.USER_ID, pa.string(), nullable=False),
        pa.field(C.ITEM_ID, pa.string()),  # null: a search
        pa.field(C.TIMESTAMP, pa.int64(), nullable=False),
        pa.field(C.EVENT_ORDER, pa.uint64(), nullable=False),
        pa.field(C.KIND, pa.string(), nullable=False),  # `names.EVENT_KINDS`, or the corpus's own
        pa.field(C.VALUE, pa.float32()),  # seconds of a dwell or of watching, pieces or money of a purchase; or null
        pa.field(C.SESSION, pa.string()),
        pa.field(C.TEXT, pa.string()),  # the words of a search
    ]
)

#: Columns of `users` that hold what `corpus.user_attributes` names, before that name.
ATTRIBUTE_PREFIX = "attribute_"


def users_schema(attributes: Iterable[str]) -> pa.Schema:
    """`users`: a row a user, with a column `attribute_NAME` for each name: a label, null where none is given."""
    labels = (pa.field(f"{ATTRIBUTE_PREFIX}{name}", pa.string()) for name in attributes)
    return pa.schema([pa.field(C.USER_ID, pa.string(), nullable=False), *labels])


#: Who follows whom, and since when (ms; null: as long as anybody remembers).
RELATIONS = pa.schema(
    [
        pa.field(C.FOLLOWER_ID, pa.string(), nullable=False),
        pa.field(C.FOLLOWED_ID, pa.string(), nullable=False),
        pa.field(C.SINCE, pa.int64()),
    ]
)


QUARANTINE = pa.schema(
    [
        pa.field(C.SOURCE, pa.string(), nullable=False),  # file, or the stage that refused the row
        pa.field(C.LINE, pa.int64()),  # 1-based; null where the row has no line
        pa.field(C.REVIEW_ID, pa.string()),
        pa.field(C.REASON, pa.string(), nullable=False),  # a short code, `malformed_json`
        pa.field(C.DETAIL, pa.string()),  # what was found, what was expected
        pa.field(C.RAW, pa.string()),  # the row's beginning, at most 2,000 characters
    ]
)

#: Which text each review or item was encoded as; `kind` is "review", "item" or "sequence" (`id`: of its last review).
TEXT_KEYS = pa.schema(
    [
        pa.field(C.KIND, pa.string(), nullable=False),
        pa.field("id", pa.string(), nullable=False),
        pa.field(C.KEY, pa.string()),  # hex; null where there is no text to encode
    ]
)

_NUMBER = pa.float32()
_SPAN = [pa.field("start", pa.int32()), pa.field("end", pa.int32())]
#: What a reader read in each review: one row a review. Spans are characters of the text as `review_text` makes it.
READINGS = pa.schema(
    [
        pa.field(C.REVIEW_ID, pa.string(), nullable=False),
        pa.field("language", pa.string()),
        pa.field("sentiment", _NUMBER),  # -1 to 1; null where nothing was read
        *(pa.field(name, _NUMBER) for name in ("negative", "neutral", "positive")),  # probabilities
        pa.field("intent", pa.string()),  # question | complaint | praise | comparison
        pa.field("aspects", pa.list_(pa.struct(
            [pa.field("term", pa.string()), pa.field("category", pa.string()), pa.field("polarity", _NUMBER), *_SPAN]
        ))),
        pa.field("attributes", pa.list_(pa.struct(
            [pa.field("name", pa.string()), pa.field("value", pa.string()), *_SPAN]
        ))),
        pa.field("topics", pa.list_(pa.string())),
        pa.field("key_phrases", pa.list_(pa.string())),
        pa.field("dropped", pa.int32()),  # spans that the reader claimed and the text does not hold
        pa.field("output_tokens", pa.int32()),
        pa.field("error", pa.string()),  # why nothing was read
    ]
)  # fmt: skip

#: Versions of the profiles of users and of items, in order of side, id and version. One made at t is read after t only.
PROFILES = pa.schema(
    [
        pa.field("side", pa.string(), nullable=False),  # user | item
        pa.field("id", pa.string(), nullable=False),
        pa.field("version", pa.int32(), nullable=False),  # from 0
        pa.field("made_at", pa.int64(), nullable=False),  # ms UTC of the last review that it was made of
        pa.field("reviews", pa.int32(), nullable=False),  # with words, that it was made of
        pa.field(C.TEXT, pa.string(), nullable=False),  # "" where nothing was found
        pa.field("error", pa.string()),  # why nothing was made
    ]
)


#: Columns of `examples`, before the name of a kind of events: whether one followed, and its largest value.
HAPPENED_PREFIX, VALUE_PREFIX = "happened_", "value_"


def examples_schema(user_dim: int, item_dim: int, pair_dim: int, kinds: Iterable[str] = ()) -> pa.Schema:
    """Schema of `examples`: one row a (user, item, time) with its labels and its point-in-time features.

    `kinds`: of events that are labels, each with a column `happened_KIND` (null: nobody knows yet) and `value_KIND`.
    """
    labels = [(HAPPENED_PREFIX, pa.int8()), (VALUE_PREFIX, pa.float32())]
    return pa.schema(
        [
            pa.field(C.QUERY_ID, pa.int64(), nullable=False),  # the observed event this row belongs to
            pa.field(C.USER_ID, pa.string(), nullable=False),
            pa.field(C.ITEM_ID, pa.string(), nullable=False),
            pa.field(C.TIMESTAMP, pa.int64(), nullable=False),
            pa.field(C.REVIEW_ID, pa.string()),  # null for a sampled negative
            pa.field(C.SPLIT, pa.string(), nullable=False),  # train | validation | test
            pa.field(C.CANDIDATE, pa.bool_(), nullable=False),  # the item was known before the row's time
            pa.field(C.CLICK, pa.int8(), nullable=False),
            pa.field(C.LIKE, pa.int8()),  # null for a sampled negative or where there are no stars
            pa.field(C.STARS, pa.float32()),
            *(pa.field(f"{prefix}{kind}", of) for kind in kinds for prefix, of in labels),
            pa.field(C.USER_IDX, pa.int32(), nullable=False),
            pa.field(C.ITEM_IDX, pa.int32(), nullable=False),
            pa.field(C.HISTORY, pa.list_(pa.int32()), nullable=False),  # item_idx, oldest first
            pa.field(C.HISTORY_AGES, pa.list_(pa.float32()), nullable=False),  # log(1 + days) since each of them
            pa.field(C.USER_FEATURES, pa.list_(pa.float32(), user_dim), nullable=False),
            pa.field(C.ITEM_FEATURES, pa.list_(pa.float32(), item_dim), nullable=False),
            pa.field(C.PAIR_FEATURES, pa.list_(pa.float32(), pair_dim), nullable=False),
        ]
    )


RECOMMENDATIONS = pa.schema(
    [
        pa.field(C.USER_ID, pa.string(), nullable=False),
        pa.field(C.ITEM_ID, pa.string(), nullable=False),
        pa.field(C.RANK, pa.int32(), nullable=False),  # 1 is best
        pa.field(C.SCORE, pa.float32(), nullable=False),
    ]
)

_LABEL = pa.dictionary(pa.int32(), pa.string())  # each name is stored once; pandas reads it as a category

#: `family_weights/VARIANT.parquet` of the report: one row a (click of the test, tower, feature family).
FAMILY_WEIGHTS = pa.schema(
    [
        pa.field(C.QUERY_ID, pa.int64(), nullable=False),  # of the click in `examples`, not in `truth`
        pa.field(C.USER_ID, _LABEL, nullable=False),
        pa.field(C.ITEM_ID, _LABEL, nullable=False),
        pa.field(C.TIMESTAMP, pa.int64(), nullable=False),
        pa.field(C.SIDE, _LABEL, nullable=False),  # the tower: user | item
        pa.field(C.FAMILY, _LABEL, nullable=False),
        pa.field(C.WEIGHT, pa.float32(), nullable=False),  # of one click and tower they sum to 1
    ]
)


def pair_hash(user_id: str, item_id: str) -> int:
    """First 64 bits of sha256(user_id TAB item_id): orders events of equal timestamp."""
    return int.from_bytes(hashlib.sha256(f"{user_id}\t{item_id}".encode()).digest()[:8], "big")


def event_order(user_ids: Sequence[str], item_ids: Sequence[str]) -> npt.NDArray[np.uint64]:
    """(n,) the `event_order` column: events are ordered by (timestamp, event_order), never by file order."""
    pairs = zip(user_ids, item_ids, strict=True)
    return np.fromiter((pair_hash(u, i) for u, i in pairs), np.uint64, len(user_ids))


def id_hash(ids: Sequence[str]) -> npt.NDArray[np.uint64]:
    """(n,) first 64 bits of sha256 of each id; the input of `tie_hash`, computed once per id."""
    digests = (hashlib.sha256(i.encode()).digest()[:8] for i in ids)
    return np.fromiter((int.from_bytes(d, "big") for d in digests), np.uint64, len(ids))


def tie_hash(user_hash: npt.NDArray[np.uint64], item_hash: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """Orders items of equal score for a user: the smaller hash first. Inputs broadcast; both come from `id_hash`.

    A constant score so ranks at random, and the same everywhere: evaluation and `Recommender` both call this. It is
    the finaliser of splitmix64 (Steele et al., 2014) over both hashes, because sha256 per pair would cost more than
    the scores themselves.
    """
    x: npt.NDArray[np.uint64] = user_hash ^ (item_hash * np.uint64(0x9E3779B97F4A7C15))
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    x ^= x >> np.uint64(31)
    return x


def event_id(*parts: object) -> str:
    """The id of an event whose corpus gives it none: 32 hex digits of sha256 of all that is said of it."""
    return hashlib.sha256("\t".join("" if part is None else str(part) for part in parts).encode()).hexdigest()[:32]


def outcome_id(event_id: str) -> str:
    """The `review_id` of an outcome's event: no review's own id can be the same."""
    return f"event:{event_id}"


def review_id(user_id: str, item_id: str, timestamp: int) -> str:
    """The id of a review whose corpus gives it none: 32 hex digits of sha256(user, item, time)."""
    return hashlib.sha256(f"{user_id}\t{item_id}\t{timestamp}".encode()).hexdigest()[:32]
