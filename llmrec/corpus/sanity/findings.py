"""What is odd about a corpus, or keeps a run from coming to an end: said before anything is paid for."""

import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from llmrec.config import EncoderConfig, RunConfig
from llmrec.config.data.corpus import CorpusConfig
from llmrec.corpus.sanity.protocols import Tables, untestable
from llmrec.names import EVENT_KINDS, nearest

__all__ = ["Finding", "Tables", "findings", "refuse", "told"]

log = logging.getLogger(__name__)
Numbers = Mapping[str, Any]


@dataclass(frozen=True)
class Finding:
    """One line of the sanity report. `limit`: the share from which the configuration refuses, where it was passed."""

    check: str
    level: str  # warn | refuse
    message: str
    found: float | None = None
    limit: float | None = None

    def described(self) -> dict[str, Any]:
        """For JSON: what is set."""
        return {name: value for name, value in vars(self).items() if value is not None}


def findings(config: RunConfig, counts: Numbers, info: Numbers, tables: Tables) -> list[Finding]:
    """Every line of the report for a corpus with these counts and this portrait, worst first."""
    found = [finding for check in _CHECKS for finding in check(config.corpus, counts, info)]
    found += [*_languages(config, info), *_outcomes(config, info)]
    level = config.corpus.sanity.protocols
    found += [Finding(name, level, message) for name, message in untestable(config, tables)]
    return sorted(found, key=lambda one: one.level != "refuse")


def told(found: list[Finding]) -> list[Finding]:
    """The same findings, each logged as a warning."""
    for one in found:
        log.warning("corpus: %s: %s", one.check, one.message)
    return found


def refuse(found: list[Finding]) -> None:
    """Raise ValueError with every finding that refuses the corpus."""
    if bad := [one.message for one in found if one.level == "refuse"]:
        raise ValueError("corpus: " + "; ".join(bad))


def _quarantined(config: CorpusConfig, counts: Numbers, info: Numbers) -> Iterator[Finding]:
    copies = info["copies"] + info["repeats_replaced"]
    if not counts["rows_in"]:
        return  # events alone
    bad, rows = counts["quarantined"] - copies, counts["rows_in"]
    share = bad / rows if rows else 0.0
    most = max(
        info["reasons"].items(), key=lambda pair: pair[1] * (pair[0] not in ("copy", "repeated_pair")), default=("", 0)
    )
    said = f"{bad:,} of {rows:,} rows ({share:.1%}) were refused, most often as {most[0]} ({most[1]:,})"
    limit = config.sanity.refuse_quarantined
    if limit is not None and share > limit:
        yield Finding("quarantined", "refuse", f"{said}; corpus.sanity.refuse_quarantined is {limit:.1%}", share, limit)
    elif share > config.sanity.warn_quarantined:
        yield Finding("quarantined", "warn", f"{said}; see the examples of jobs.ingest --check", share)


def _cut_short(config: CorpusConfig, counts: Numbers, info: Numbers) -> Iterator[Finding]:
    """How much is lacking nobody knows, so that no share tells of it."""
    if n := info["reasons"].get("truncated_file"):
        said = "end before their end: the rows before are kept, what came behind is lost; bring them whole"
        yield Finding("truncated_files", "warn", f"{n:,} files {said}")


def _unread(config: CorpusConfig, counts: Numbers, info: Numbers) -> Iterator[Finding]:
    lost = [
        (name, n) for name, n in info["repairs"].items() if name.endswith(("_unreadable", "_out_of_range", "_not_text"))
    ]
    for name, n in lost:
        rows = max(counts["rows_in"], counts["items_in"], 1)
        if n > config.sanity.warn_unread * rows:
            scale = "; no stars were read: corpus.stars_min and stars_max are their scale, 0 and 1 of yes and no"
            none = scale * (name == "stars_unreadable" and not info["stars"])
            yield Finding("unread", "warn", f"{n:,} rows lost an optional value: {name}{none}", n / rows)
    outcomes = counts.get("outcomes", 0)  # events have no stars
    n, rows = info["without_stars"] - outcomes, info["reviews"] - outcomes
    if info["stars"] and n > config.sanity.warn_unread * rows:
        yield Finding("unrated", "warn", f"{n:,} of {rows:,} reviews have no stars, the others have", n / rows)


def _joins(config: CorpusConfig, counts: Numbers, info: Numbers) -> Iterator[Finding]:
    if not counts["items_out"]:
        return
    share, limits = info["items_with_metadata"] / max(1, info["items"]), config.sanity
    reviewed, described = (", ".join(map(repr, info[side])) for side in ("ids_reviewed", "ids_described"))
    ids = f"without a match, reviews name {reviewed or 'none'}; the item files {described or 'none'}"
    said = f"{info['items_with_metadata']:,} of {info['items']:,} reviewed items have metadata ({share:.1%}): {ids}"
    refused = limits.refuse_joined is not None and share < limits.refuse_joined
    if refused or share < limits.warn_joined:
        yield Finding("joined", "refuse" if refused else "warn", said, share, limits.refuse_joined if refused else None)
    without = info["metadata_without_reviews"]
    if without > limits.warn_unreviewed * counts["items_out"]:
        said = f"{without:,} of {counts['items_out']:,} items with metadata have no review: words alone recommend them"
        yield Finding("unreviewed", "warn", said, without / counts["items_out"])


def _shares(config: CorpusConfig, counts: Numbers, info: Numbers) -> Iterator[Finding]:
    n, limits = max(1, info["reviews"]), config.sanity
    largest, user = info["largest_user"]["events"], info["largest_user"]["user_id"]
    for name, part, limit, said in (
        ("largest_user", largest, limits.warn_largest_user, f"user {user!r} has {largest:,} of {n:,} events"),
        ("future", info["future"], limits.warn_future, f"{info['future']:,} events lie in the future, up to "
         f"{info['last_time']}: they move the clock of serving.clock `data`"),
        ("copies", info["copies"], limits.warn_copies, f"{info['copies']:,} rows are copies of others: quarantined"),
        ("repeats", info["repeats"], limits.warn_repeats, f"{info['repeats']:,} of {n:,} events repeat a pair; they "
         "are kept as events (corpus.repeats: last keeps one of each pair)"),
        ("replaced", info["repeats_replaced"], limits.warn_repeats, f"{info['repeats_replaced']:,} events left out: "
         "their pair came again later (corpus.repeats)"),
    ):  # fmt: skip
        if part > limit * n and (name != "largest_user" or info["users"] > 1 / max(limit, 0.01)):
            yield Finding(name, "warn", said, part / n)


def _words(config: CorpusConfig, counts: Numbers, info: Numbers) -> Iterator[Finding]:
    n = max(1, info["reviews"])
    empty = info["empty_texts"]
    if "text" in config.columns and empty > config.sanity.warn_empty * n:
        yield Finding(
            "empty_texts", "warn", f"{empty:,} of {n:,} reviews have no text, though a column is mapped", empty / n
        )


def _languages(config: RunConfig, info: Numbers) -> Iterator[Finding]:
    """What an encoder with a vocabulary of its own may not read; the others learn their words from the corpus."""
    encoder = config.encoding.encoder
    foreign = {name: share for name, share in info["languages"].items() if name != "en"}
    share = sum(foreign.values())
    if not config.features.text or encoder.backend != "vllm" or share <= config.corpus.sanity.warn_language:
        return
    shown = ", ".join(f"{name} {part:.0%}" for name, part in foreign.items())
    packaged = encoder.model == EncoderConfig().model
    doubt = "the packaged encoder was made for English and does harm there" if packaged else (
        f"one that {encoder.model} was not made for does harm"
    )  # fmt: skip
    yield Finding(
        "languages", "warn",
        f"texts in other languages than English: {shown}; {doubt}: name a multilingual model in encoding.encoder, or "
        "encoding.encoder.backend=tfidf_svd, which learns its words from the corpus; or compare with "
        "features.text: false",
        share,
    )  # fmt: skip


def _outcomes(config: RunConfig, info: Numbers) -> Iterator[Finding]:
    """What the ranker is to predict, and the corpus cannot tell."""
    told = info.get("labels", {})
    for task in getattr(config.training.ranker, "outcomes", ()):
        if told and task.kind not in told:
            shown = ", ".join(f"{name} ({n:,})" for name, n in told.items())
            yield Finding("outcomes", "refuse", f"training.ranker.outcomes: the corpus cannot tell {task.kind!r}; the "
                          f"nearest is {nearest(task.kind, told)!r}; it tells {shown}")  # fmt: skip


def _files(config: CorpusConfig, counts: Numbers, info: Numbers) -> Iterator[Finding]:
    for path, form in info.get("formats", {}).items():
        for note in form.get("found", ()):
            if note.startswith(("column", "the columns are named", "no stars", "encoding", "the name says")):
                yield Finding("format", "warn", f"{path}: {note}")


def _events(config: CorpusConfig, counts: Numbers, info: Numbers) -> Iterator[Finding]:
    rows, bad = counts.get("events_in", 0), counts.get("events_quarantined", 0)
    if rows and bad > config.sanity.warn_quarantined * rows:
        yield Finding("events_quarantined", "warn", f"{bad:,} of {rows:,} events were refused", bad / rows)
    own = {*config.event_kinds.values(), config.event_kind}
    for kind, n in info.get("events", {}).get("kinds", {}).items():
        if kind not in EVENT_KINDS and kind not in own:
            yield Finding(
                "event_kind", "warn",
                f"{n:,} events are of kind {kind!r}, which is taken as it is; the nearest known by name is "
                f"{nearest(kind, EVENT_KINDS)!r}: say what it means in corpus.event_kinds",
            )  # fmt: skip
    relations = info.get("relations", {})
    if undated := relations.get("undated", 0):
        said = (
            f"{undated:,} of {relations['relations']:,} relations have no time: features take them for older than all"
        )
        yield Finding("undated_relations", "warn", said, undated / relations["relations"])


_CHECKS: tuple[Callable[[CorpusConfig, Numbers, Numbers], Iterator[Finding]], ...] = (
    _quarantined, _cut_short, _unread, _joins, _shares, _words, _files, _events,
)  # fmt: skip
