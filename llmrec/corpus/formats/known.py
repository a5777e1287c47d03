"""Corpora by name: what each calls its columns. Never read: averages, rating counts, votes (they know the future)."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from llmrec.corpus.formats.movielens import HEADERS as MOVIELENS_HEADERS

#: Our column -> what files call it, the first that a row has counts. `a.b.c` is nested; a tuple in it is joined.
Names = Mapping[str, tuple[str | tuple[str, ...], ...]]


@dataclass(frozen=True)
class Known:
    """A corpus that people have. `headers`: (kind, beginning or end of a file's name) -> columns of one without any."""

    reviews: Names
    items: Names = field(default_factory=dict)
    headers: Mapping[tuple[str, str], tuple[str, ...]] = field(default_factory=dict)
    fallback: str | None = None  # encoding of lines that are not UTF-8
    quoted: bool | None = None
    headless: str = ""


KNOWN: dict[str, Known] = {
    "amazon": Known(  # 2014 and 2018 | 2023 (whose metadata is keyed by parent_asin)
        {
            "user_id": ("reviewerID", "user_id"),
            "item_id": ("parent_asin", "asin"),
            "timestamp": ("unixReviewTime", "timestamp"),
            "stars": ("overall", "rating"),
            "title": ("summary", "title"),
            "text": ("reviewText", "text"),
        },
        {
            "item_id": ("parent_asin", "asin"),
            "title": ("title",),
            "description": ("description",),
            "features": ("features", "feature"),
            "brand": ("brand", "store"),
            "price": ("price",),
            "categories": ("categories", "category", "main_category", "main_cat"),
            "available_from": ("date", "details.Date First Available"),
        },
        headless="; Amazon's files of ratings alone are reviewerID, asin, overall, unixReviewTime (2014) or asin, "
        "reviewerID, overall, unixReviewTime (2018)",
    ),
    "amazon_tsv": Known(
        {
            "review_id": ("review_id",),
            "user_id": ("customer_id",),
            "item_id": ("product_id",),
            "timestamp": ("review_date",),
            "stars": ("star_rating",),
            "title": ("review_headline",),
            "text": ("review_body",),
        },
        {"item_id": ("product_id",), "title": ("product_title",), "categories": ("product_category",)},
        quoted=False,
    ),
    "movielens": Known(
        {
            "user_id": ("userId", "user_id"),
            "item_id": ("movieId", "item_id"),
            "timestamp": ("timestamp",),
            "stars": ("rating",),
        },
        {
            "item_id": ("movieId", "item_id"),
            "title": ("title", "movie_title"),
            "categories": ("genres", "genre", "class"),
            "available_from": ("release_date",),
        },
        headers=MOVIELENS_HEADERS,
        fallback="latin-1",
    ),
    "yelp": Known(
        {
            "review_id": ("review_id",),
            "user_id": ("user_id",),
            "item_id": ("business_id",),
            "timestamp": ("date",),
            "stars": ("stars",),
            "text": ("text",),
        },
        {"item_id": ("business_id",), "title": ("name",), "categories": ("categories",)},
    ),
    "goodreads": Known(
        {
            "review_id": ("review_id",),
            "user_id": ("user_id",),
            "item_id": ("book_id",),
            "timestamp": ("date_added",),
            "stars": ("rating",),
            "text": ("review_text",),
        },
        {
            "item_id": ("book_id",),
            "title": ("title",),
            "description": ("description",),
            "brand": ("publisher",),
            "categories": ("popular_shelves.name", "genres"),
            "available_from": (("publication_year", "publication_month", "publication_day"), "publication_year"),
        },
    ),
    "steam": Known(
        {
            "user_id": ("user_id", "username"),
            "item_id": ("product_id", "item_id", "app_id"),
            "timestamp": ("date", "posted", "timestamp"),
            "text": ("text", "review"),
        },
        {
            "item_id": ("id", "app_id"),
            "title": ("app_name", "title"),
            "brand": ("developer", "publisher"),
            "price": ("price", "discount_price"),
            "categories": ("genres", "tags"),
            "available_from": ("release_date",),
        },
    ),
    "mind": Known(
        {"user_id": ("user_id",), "item_id": ("impressions",), "timestamp": ("time",)},
        {"item_id": ("news_id",), "title": ("title",), "description": ("abstract",), "categories": ("categories",)},
        headers={
            ("reviews", ""): ("impression_id", "user_id", "time", "history", "impressions"),
            ("items", ""): ("news_id", "category", "categories", "title", "abstract", "url", "title_entities",
                            "abstract_entities"),
        },
        quoted=False,
    ),
    "douban": Known(
        {
            "user_id": ("USER_MD5", "user_id", "Username"),
            "item_id": ("MOVIE_ID", "item_id", "Movie_Name_CN"),
            "timestamp": ("COMMENT_TIME", "RATING_TIME", "timestamp", "Date"),
            "stars": ("RATING", "rating", "Star"),
            "text": ("CONTENT", "comment", "Comment"),
        },
        {
            "item_id": ("MOVIE_ID", "item_id"),
            "title": ("NAME", "title"),
            "description": ("STORYLINE", "description"),
            "categories": ("GENRES", "genres"),
            "available_from": ("RELEASE_DATE", "YEAR"),
        },
    ),
    "olist": Known(
        {
            "review_id": ("review_id",),
            "user_id": ("customer_unique_id", "customer_id"),
            "item_id": ("product_id",),
            "timestamp": ("review_creation_date", "order_purchase_timestamp"),
            "stars": ("review_score",),
            "title": ("review_comment_title",),
            "text": ("review_comment_message",),
        },
        {"item_id": ("product_id",), "categories": ("product_category_name",)},
    ),
    "b2w": Known(
        {
            "user_id": ("reviewer_id",),
            "item_id": ("product_id",),
            "timestamp": ("submission_date",),
            "stars": ("overall_rating",),
            "title": ("review_title",),
            "text": ("review_text",),
        },
        {
            "item_id": ("product_id",),
            "title": ("product_name",),
            "brand": ("product_brand",),
            "categories": ("site_category_lv2", "site_category_lv1"),
        },
    ),
    "lastfm": Known(
        {"user_id": ("user_id",), "item_id": ("track_id", "track_name"), "timestamp": ("timestamp",)},
        {"item_id": ("track_id", "track_name"), "title": ("track_name",), "brand": ("artist_name",)},
        headers={
            (kind, ""): ("user_id", "timestamp", "artist_id", "artist_name", "track_id", "track_name")
            for kind in ("reviews", "items")
        },
        quoted=False,
    ),
}  # fmt: skip
