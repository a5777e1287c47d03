"""What people call the columns of reviews, items, events, users and relations."""

from collections.abc import Mapping

_USER = ("user", "customer", "reviewer", "author", "kunde", "nutzer", "member", "visitor", "usuario", "usuário",
         "utente", "utilisateur", "gebruiker", "cliente", "client", "klient", "uid", "shopper", "kullanıcı", "müşteri",
         "пользователь", "клиент", "用户", "ユーザ", "顧客", "사용자", "고객", "المستخدم", "người dùng",
         "khách")  # fmt: skip
_ITEM = ("item", "product", "asin", "movie", "book", "business", "artikel", "produkt", "song", "track", "isbn",
         "article", "artículo", "producto", "produto", "prodotto", "produit", "sku", "goods", "ürün", "товар", "商品",
         "製品", "상품", "المنتج", "sản phẩm")  # fmt: skip
_TIME = ("timestamp", "time", "date", "datum", "when", "fecha", "data", "created", "_at", "=ts", "tarih", "дата",
         "时间", "日付", "日時", "日期", "날짜", "التاريخ", "ngày")  # fmt: skip
_STARS = ("star", "rating", "score", "overall", "sterne", "bewertung", "note", "nota", "puntuac", "calificac",
          "valutazione", "ocena", "puan", "recommend", "оценка", "рейтинг", "评分", "評価", "評分", "평점", "별점",
          "التقييم", "đánh giá")  # fmt: skip
_TEXT = ("text", "review", "body", "comment", "content", "kommentar", "rezension", "reseña", "comentario", "comentário",
         "commentaire", "avis", "recensione", "opinia", "yorum", "отзыв", "текст", "内容", "评论", "評論", "レビュー",
         "コメント", "리뷰", "내용", "المراجعة", "nội dung")  # fmt: skip

#: Kind of rows -> our column -> parts of names that people give it, the likeliest first; "=name": the name itself.
HINTS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "reviews": {
        "user_id": _USER, "item_id": _ITEM, "timestamp": _TIME,
        "stars": _STARS,
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
