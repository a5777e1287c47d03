"""What the corpus is like: the figures of a manifest's `info`."""

import datetime as dt
from collections import Counter
from typing import Any

import numpy as np
import numpy.typing as npt

from llmrec.corpus.passes.keys import hashed_ids
from llmrec.corpus.passes.merging.bucket_report import BucketReport

_TEXTS = 500
_SHOWN = 3
Hashes = npt.NDArray[np.uint64]


def portrait(buckets: list[BucketReport]) -> dict[str, Any]:
    """Users, items, times, ties, repeats, stars, texts and languages of the reviews; which items have metadata."""
    reviews = [b for b in buckets if b.kind == "reviews"]
    described = [b for b in buckets if b.kind == "items"]
    n = sum(b.rows for b in reviews)
    first = min((b.first for b in reviews if b.first is not None), default=None)
    last = max((b.last for b in reviews if b.last is not None), default=None)
    stars = sum((b.stars for b in reviews), Counter[float]())
    largest = min((b.largest for b in reviews), key=lambda one: (-one[0], one[1]), default=(0, ""))
    return {
        "reviews": n,
        "users": sum(b.users for b in reviews),
        **_joined(reviews, described),
        "first_time": _iso(first),
        "last_time": _iso(last),
        "future": sum(b.future for b in reviews),
        "largest_user": {"user_id": largest[1], "events": largest[0]},
        "tied_share": _share(sum(b.tied for b in reviews), n),
        "whole_day_share": _share(sum(b.whole_day for b in reviews), n),
        "copies": sum(b.copies for b in reviews),
        "repeats": sum(b.repeats for b in reviews),
        "repeats_replaced": sum(b.replaced for b in reviews),
        "empty_texts": sum(b.no_text for b in reviews),
        "without_stars": sum(b.no_stars for b in reviews),
        "stars": {f"{value:g}": int(stars[value]) for value in sorted(stars)},
        "text_chars": _lengths(reviews),
        "languages": languages([text for b in reviews for text in b.texts]),
    }


def _joined(reviews: list[BucketReport], described: list[BucketReport]) -> dict[str, Any]:
    """How many items reviews and item files share, and ids of each side that the other lacks."""
    seen, known = _all(reviews), _all(described)
    both = np.intersect1d(seen, known)
    shown = {"ids_reviewed": _lacking(reviews, known), "ids_described": _lacking(described, seen)}
    counts = {"items": len(seen), "items_with_metadata": len(both), "metadata_without_reviews": len(known) - len(both)}
    return counts | (shown if len(known) else {"ids_reviewed": [], "ids_described": []})


def _all(buckets: list[BucketReport]) -> Hashes:
    return np.unique(np.concatenate([np.empty(0, np.uint64), *(b.items for b in buckets)]))


def _lacking(buckets: list[BucketReport], other: Hashes) -> list[str]:
    ids = [name for b in buckets for name in b.ids]
    lacking = ~np.isin(hashed_ids(ids), other)
    return [name for name, out in zip(ids, lacking, strict=True) if out][:_SHOWN]


def _lengths(reviews: list[BucketReport]) -> dict[str, int]:
    """Median, ninth decile and longest text in characters, of an even sample but for the last."""
    chars = np.concatenate([np.empty(0, np.int64), *(b.chars for b in reviews)])
    if not len(chars):
        return {}
    half, most = np.percentile(chars, [50, 90])
    return {"p50": int(half), "p90": int(most), "longest": max(b.longest for b in reviews)}


def languages(texts: list[str]) -> dict[str, float]:
    """Share of each language in an even sample of `texts`, those above 1 %, most frequent first."""
    from py3langid import langid  # loads its model, half a second, at the first text

    long_enough = [text for text in texts if len(text.encode()) >= 20]  # a Chinese character says as much as three
    sample = long_enough[:: max(1, len(long_enough) // _TEXTS)][:_TEXTS]
    found = Counter(langid.classify(text)[0] for text in sample)
    return {name: round(n / len(sample), 3) for name, n in found.most_common() if n > len(sample) / 100}


def _share(part: int, whole: int) -> float:
    return round(part / whole, 6) if whole else 0.0


def _iso(ms: int | None) -> str | None:
    return None if ms is None else dt.datetime.fromtimestamp(ms / 1000, dt.UTC).isoformat()
