"""What each kind of corpus calls its columns. Never read: averages, rating counts, votes (snapshots of the future)."""

from collections.abc import Mapping
from dataclasses import dataclass

from llmrec.config.corpus import ITEM_COLUMNS, REVIEW_COLUMNS, CorpusConfig
from llmrec.corpus.readers.files import InputFile
from llmrec.schema import CONTEXT_PREFIX, VECTOR_PREFIX

#: Our column -> what files call it, the first that a row has counts. `a.b` is field b of the object a.
Names = Mapping[str, tuple[str, ...]]

AMAZON_REVIEWS: Names = {  # 2014 and 2018 | 2023 (whose metadata is keyed by parent_asin)
    "user_id": ("reviewerID", "user_id"),
    "item_id": ("parent_asin", "asin"),
    "timestamp": ("unixReviewTime", "timestamp"),
    "stars": ("overall", "rating"),
    "title": ("summary", "title"),
    "text": ("reviewText", "text"),
}
AMAZON_ITEMS: Names = {
    "item_id": ("parent_asin", "asin"),
    "title": ("title",),
    "description": ("description",),
    "features": ("features", "feature"),
    "brand": ("brand", "store"),
    "price": ("price",),
    "categories": ("categories", "category", "main_category", "main_cat"),
    "available_from": ("date", "details.Date First Available"),
}
MOVIELENS_REVIEWS: Names = {
    "user_id": ("userId", "user_id"),
    "item_id": ("movieId", "item_id"),
    "timestamp": ("timestamp",),
    "stars": ("rating",),
}
MOVIELENS_ITEMS: Names = {
    "item_id": ("movieId", "item_id"),
    "title": ("title", "movie_title"),
    "categories": ("genres", "genre", "class"),
    "available_from": ("release_date",),
}
REQUIRED = {"reviews": ("user_id", "item_id", "timestamp"), "items": ("item_id",)}

_GENRES_100K = (
    "unknown", "Action", "Adventure", "Animation", "Children's", "Comedy", "Crime", "Documentary", "Drama", "Fantasy",
    "Film-Noir", "Horror", "Musical", "Mystery", "Romance", "Sci-Fi", "Thriller", "War", "Western",
)  # fmt: skip


def names_of(config: CorpusConfig, kind: str) -> Names:
    """The names of the columns of `kind` ("reviews" or "items") in this configuration's files."""
    names, prefix, more = (
        (_item_names(config), VECTOR_PREFIX, config.item_vectors)
        if kind == "items"
        else (_review_names(config), CONTEXT_PREFIX, config.context_columns)
    )
    return names | {f"{prefix}{name}": (theirs,) for name, theirs in more.items()}


def _review_names(config: CorpusConfig) -> dict[str, tuple[str, ...]]:
    if config.source == "table":
        return {name: (config.columns.get(name, name),) for name in REVIEW_COLUMNS}
    return dict(AMAZON_REVIEWS if config.source == "amazon" else MOVIELENS_REVIEWS)


def _item_names(config: CorpusConfig) -> dict[str, tuple[str, ...]]:
    if config.source == "table":
        return {name: (config.item_columns.get(name, name),) for name in ITEM_COLUMNS}
    return dict(AMAZON_ITEMS if config.source == "amazon" else MOVIELENS_ITEMS)


def mapped(config: CorpusConfig, kind: str) -> set[str]:
    """Our columns that the configuration names a column for: files must have it."""
    if kind == "reviews":
        return {*config.columns, *(f"{CONTEXT_PREFIX}{name}" for name in config.context_columns)}
    return {*config.item_columns, *(f"{VECTOR_PREFIX}{name}" for name in config.item_vectors)}


@dataclass(frozen=True)
class Format:
    """How a file's bytes become rows."""

    kind: str  # json | delimited | parquet
    delimiter: str = ","
    quoted: bool = False
    encoding: str = "utf-8"
    header: tuple[str, ...] | None = None  # None: the first line
    list_separator: str = "|"  # within a field that holds several values


JSON_LINES = Format("json")
_U_ITEM = ("movieId", "title", "release_date", "video_date", "url", *(f"genre:{g}" for g in _GENRES_100K))


def format_of(file: InputFile, kind: str) -> Format:
    """The format that a file's name tells. Raises ValueError for a name that tells none."""
    name, suffix = file.path.rsplit("/", 1)[-1].lower(), (file.suffixes or [""])[-1]
    if name.startswith("u.item"):
        return Format("delimited", "|", encoding="latin-1", header=_U_ITEM)
    known = {
        ".json": JSON_LINES,
        ".jsonl": JSON_LINES,
        ".ndjson": JSON_LINES,
        ".csv": Format("delimited", ",", quoted=True),
        ".tsv": Format("delimited", "\t", quoted=True),
        ".parquet": Format("parquet"),
        ".pq": Format("parquet"),
        ".inter": Format("delimited", "\t"),
        ".item": Format("delimited", "\t", list_separator=" "),
        ".data": Format("delimited", "\t", header=("userId", "movieId", "rating", "timestamp")),
        ".dat": Format(
            "delimited",
            "::",
            encoding="latin-1",
            header=("userId", "movieId", "rating", "timestamp")
            if kind == "reviews"
            else ("movieId", "title", "genres"),
        ),
    }
    if suffix not in known:
        raise ValueError(
            f"corpus: {file.path}: cannot tell the format from the name; expected one of {', '.join(known)} or u.item, "
            "packed or not (.gz, .bz2, .zst, .lz4)"
        )
    return known[suffix]
