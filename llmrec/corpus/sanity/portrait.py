"""What the corpus is like: the figures of a manifest's `info`."""

import datetime as dt
from collections import Counter
from typing import Any

import numpy as np

from llmrec.corpus.passes.merge import BucketReport

_TEXTS = 500


def portrait(buckets: list[BucketReport]) -> dict[str, Any]:
    """Users, items, times, ties, stars, empty texts and languages of the reviews; how many items have metadata."""
    reviews = [b for b in buckets if b.kind == "reviews"]
    n = sum(b.rows for b in reviews)
    items = np.unique(np.concatenate([b.items for b in reviews])) if reviews else np.empty(0)
    first = min((b.first for b in reviews if b.first is not None), default=None)
    last = max((b.last for b in reviews if b.last is not None), default=None)
    stars = sum((b.stars for b in reviews), Counter[float]())
    return {
        "reviews": n,
        "users": sum(b.users for b in reviews),
        "items": len(items),
        "items_with_metadata": sum(b.rows for b in buckets if b.kind == "items"),
        "first_time": _iso(first),
        "last_time": _iso(last),
        "tied_share": _share(sum(b.tied for b in reviews), n),
        "whole_day_share": _share(sum(b.whole_day for b in reviews), n),
        "duplicates": sum(b.duplicates for b in reviews),
        "empty_texts": sum(b.no_text for b in reviews),
        "without_stars": sum(b.no_stars for b in reviews),
        "stars": {f"{value:g}": int(stars[value]) for value in sorted(stars)},
        "languages": languages([text for b in reviews for text in b.texts]),
    }


def languages(texts: list[str]) -> dict[str, float]:
    """Share of each language in an even sample of `texts`, those above 1 %, most frequent first."""
    from py3langid import langid  # loads its model, half a second, at the first text

    sample = [text for text in texts[:: max(1, len(texts) // _TEXTS)] if len(text) >= 20][:_TEXTS]
    found = Counter(langid.classify(text)[0] for text in sample)
    return {name: round(n / len(sample), 3) for name, n in found.most_common() if n > len(sample) / 100}


def _share(part: int, whole: int) -> float:
    return round(part / whole, 6) if whole else 0.0


def _iso(ms: int | None) -> str | None:
    return None if ms is None else dt.datetime.fromtimestamp(ms / 1000, dt.UTC).isoformat()
