"""What the events, the users and their relations are like, and which of the rows are the outcome."""

import datetime as dt
from collections import Counter
from typing import Any

from llmrec.config.data.corpus import CorpusConfig
from llmrec.config.data.events import REVIEW
from llmrec.config.data.outcomes import CLICK, LIKE, NO_OUTCOME, STARS
from llmrec.corpus.passes.merging.bucket_report import BucketReport

#: Share of an outcome's events above which what comes again is what users do.
REPEATED = 0.05


def portray_outcome(config: CorpusConfig, buckets: list[BucketReport]) -> dict[str, Any]:
    """`outcome`: what is asked for, and whether what a user had is a candidate; `events`, `relations`: if there are.

    `labels`: how many events can tell each outcome that a ranker may predict.
    """
    of = {kind: [b for b in buckets if b.kind == kind] for kind in ("reviews", "events", "relations")}
    is_review = config.outcome.kind == REVIEW
    n = sum(b.rows if is_review else b.outcomes for b in of["reviews"])
    repeats = sum(b.repeats if is_review else b.outcome_repeats for b in of["reviews"])
    share = repeats / n if n else 0.0
    by_share = is_review or share <= REPEATED
    excluded = by_share if config.exclude_seen == "auto" else config.exclude_seen
    found: dict[str, Any] = {"outcome": {**config.outcome.model_dump(), "events": n, "repeat_share": round(share, 6),
                                         "exclude_seen": excluded}}  # fmt: skip
    if of["events"]:
        found["events"] = _events(of["events"])
    rated = sum(int(n) for b in of["reviews"] for n in b.stars.values())
    kinds = found.get("events", {}).get("kinds", {})
    found["labels"] = {CLICK: n, **({LIKE: rated, STARS: rated} if rated else {}),
                       **{kind: count for kind, count in kinds.items() if kind not in NO_OUTCOME}}  # fmt: skip
    if of["relations"]:
        found["relations"] = {"relations": sum(b.rows for b in of["relations"]),
                              "undated": sum(b.undated for b in of["relations"])}  # fmt: skip
    return found


def _events(buckets: list[BucketReport]) -> dict[str, Any]:
    kinds = sum((b.kinds for b in buckets), Counter[str]())
    return {
        "events": sum(b.rows for b in buckets),
        "users": sum(b.users for b in buckets),
        "kinds": dict(sorted(kinds.items(), key=lambda pair: (-pair[1], pair[0]))),
        "first_time": _iso(min(b.first for b in buckets if b.first is not None)) if kinds else None,
        "last_time": _iso(max(b.last for b in buckets if b.last is not None)) if kinds else None,
    }


def _iso(ms: int) -> str:
    return dt.datetime.fromtimestamp(ms / 1000, dt.UTC).isoformat()
