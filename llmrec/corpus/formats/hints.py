"""What people call the columns of reviews, items, events, users and relations."""

from collections.abc import Mapping

_USER = ("user", "customer", "reviewer", "author", "kunde", "member", "visitor", "usuario", "cliente", "client", "uid",
         "shopper", "用户")  # fmt: skip
_ITEM = ("item", "product", "asin", "movie", "book", "business", "artikel", "song", "track", "isbn", "article", "sku",
         "goods", "商品")  # fmt: skip
_TIME = ("timestamp", "time", "date", "datum", "when", "fecha", "created", "_at", "=ts", "时间")
_TEXT = ("text", "review", "body", "comment", "content", "kommentar", "内容")

#: Kind of rows -> our column -> parts of names that people give it, the likeliest first; "=name": the name itself.
HINTS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "reviews": {
        "user_id": _USER, "item_id": _ITEM, "timestamp": _TIME,
        "stars": ("star", "rating", "score", "overall", "sterne", "nota", "评分"),
        "title": ("summary", "headline", "title", "titel"),
        "text": _TEXT,
    },
    "items": {
        "item_id": (*_ITEM, "=id"),
        "title": ("title", "titel", "name", "标题"),
        "description": ("description", "beschreibung", "descripcion", "overview", "plot", "summary"),
        "brand": ("brand", "store", "maker", "manufacturer", "marke", "artist", "author", "publisher"),
        "price": ("price", "preis", "precio", "价格"),
        "categories": ("categor", "genre", "kategorie", "tags", "类别"),
        "available_from": ("available", "release", "publi", "launch", "date", "year"),
    },
    "events": {
        "user_id": _USER, "item_id": _ITEM,
        "kind": ("event_type", "event_name", "=event", "action", "behaviour", "behavior", "=kind", "=type"),
        "timestamp": _TIME,
        "event_id": ("event_id", "eventid"),
        "value": ("=value", "seconds", "duration", "dwell", "quantity", "amount"),
        "session": ("session", "visit_id", "=visit"),
    },
    "users": {"user_id": (*_USER, "=id")},
    "relations": {
        "follower_id": ("follower", "trustor", "=from", "=source"),
        "followed_id": ("followed", "followee", "following", "trustee", "friend", "=to", "=target"),
        "since": ("since", *_TIME),
    },
}  # fmt: skip
#: Ours that refer to something: of equal hints, a column called an id is likelier.
REFERENCE = ("user_id", "item_id", "follower_id", "followed_id")
#: Kinds of events, those first that a company lives on.
OUTCOMES = ("purchase", "add_to_basket", "play", "watch", "click", "view")
