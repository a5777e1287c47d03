"""A first configuration for files that nobody has described: what each holds, which column is what, and the doubts."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Any

import yaml

from llmrec.config.data.corpus import CorpusConfig
from llmrec.config.data.files import ReadingConfig
from llmrec.corpus.formats.hints import HINTS, OUTCOMES, REFERENCE
from llmrec.corpus.formats.known import KNOWN
from llmrec.corpus.formats.names import REQUIRED, SETTINGS, parts_of
from llmrec.corpus.passes.event_rows import kind_name
from llmrec.corpus.passes.plan import Seen, lists_of_rows, peek
from llmrec.corpus.readers.files import resolve
from llmrec.corpus.values.errors import RowError
from llmrec.corpus.values.stars import StarScale, is_yes_or_no, parse_stars
from llmrec.corpus.values.times import parse_timestamp
from llmrec.schema import C

_ROWS = 100  # looked at for what a column holds
_MOST_KINDS, _MOST_LABELS = 30, 20
_ABOUT = ("max", "min", "count", "total", "average", "mean")  # said of values, nested beside one
_ANY_STARS = StarScale(-1_000.0, 1_000.0)


@dataclass
class _Guess:
    """What a file seems to be: `kind` of rows, our column -> its column, and what is not sure."""

    path: str
    kind: str
    seen: Seen | None = None
    columns: dict[str, str] = field(default_factory=dict)
    source: str | None = None
    missing: list[str] = field(default_factory=list)
    section: dict[str, Any] = field(default_factory=dict)
    doubts: list[str] = field(default_factory=list)


def guess(*paths: str) -> tuple[str, bool]:
    """(YAML with comments, whether every needed column was found) for files of rows of any kind.

    Raises ValueError or FileNotFoundError for what cannot be read at all.
    """
    found = [_guess(path) for path in paths]
    source = next((one.source for one in found if one.source), None)
    section: dict[str, Any] = {"source": source or "table"}
    notes = []
    for one in found:
        _describe(one, section, source)
        notes += [f"{one.kind}: {one.path}"]
        notes += [
            f"found: {name}: {value}" for name, value in (one.seen.form.describe() if one.seen else {}).items() if value
        ]
        notes += [f"doubt: {doubt}" for doubt in [*one.missing, *one.doubts]]
    if not {"reviews", "events"} & section.keys():
        notes.append("doubt: no file of reviews or events among these; name it, too: --guess REVIEWS ITEMS")
    text = yaml.safe_dump({"name": "guessed", "corpus": section}, sort_keys=False, allow_unicode=True)
    return text + "".join(f"# {note}\n" for note in notes), not any(one.missing for one in found)


def _describe(one: _Guess, section: dict[str, Any], source: str | None) -> None:
    section.setdefault(one.kind, []).append(one.path)
    known = one.source or (source and one.kind == "items" and _fits(one.seen, KNOWN[source].items, ("item_id",)))
    if one.columns and not known:
        section[SETTINGS[one.kind].columns] = one.columns
    section |= one.section


def _guess(path: str) -> _Guess:
    try:
        seen = _seen(path)
    except ValueError as error:
        if "no names" not in str(error):
            raise
        header = {"review_format": {"header": ["user_id", "item_id", "timestamp"]}}
        return _Guess(path, "reviews", missing=["header: none found"], section=header, doubts=[f"{error}"])
    if not seen.rows:
        return _Guess(path, "reviews", seen, missing=["rows: none found; the file is empty, or a header alone"])
    seen, each = next(_with_lists(path, seen), (seen, None))
    kind = _kind(seen)
    columns = _columns(seen, kind)
    if source := _known(seen, columns):
        return _Guess(path, "reviews", seen, source=source)
    if kind == "reviews" and columns:  # dates and decimal marks show in the columns that were found
        seen = _seen(path, columns, each)
    section, doubts = _rest(seen, kind, columns)
    written = {"each": each} if each else {}
    if kind == "reviews" and C.TIMESTAMP not in columns and (day := _column_of(seen, columns, C.TIMESTAMP, "excel")):
        columns[C.TIMESTAMP] = day
        written |= {"dates": "excel"}
    if written:
        section[SETTINGS[kind].format] = written
    missing = [f"{name}: no column found" for name in REQUIRED[kind] if name not in columns]
    return _Guess(path, kind, seen, columns, None, missing, section, doubts)


def _seen(path: str, columns: Mapping[str, str] | None = None, each: str | None = None) -> Seen:
    """A file's first rows, what is nested under dotted names. Raises ValueError where it cannot be read."""
    (file, *_) = resolve([path])
    config = CorpusConfig(
        source="table", reviews=(path,), columns=dict(columns or {}), review_format=ReadingConfig(each=each)
    )
    seen = peek(config, "reviews", file, every=True)
    return replace(seen, rows=[dict(_flat(row)) for row in seen.rows])


def _flat(row: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in row.items():
        yield from _flat(value, f"{before}{name}.") if isinstance(value, dict) else [(f"{before}{name}", value)]


def _with_lists(path: str, seen: Seen) -> Iterator[tuple[Seen, str]]:
    """The rows that lie in a list of each record, where those are events of somebody's and the records are none."""
    needed = {*REQUIRED["reviews"]}
    if not needed <= _columns(seen, "reviews").keys():
        for each in lists_of_rows(seen.rows[0]):
            if needed <= _columns(inner := _seen(path, None, each), "reviews").keys():
                yield inner, each


def _known(seen: Seen, columns: Mapping[str, str]) -> str | None:
    """The corpus whose columns these are; none that would leave stars unread."""
    return next(
        (name for name, known in KNOWN.items() if _fits(seen, known.reviews, REQUIRED["reviews"], 4)
         and (C.STARS in known.reviews or C.STARS not in columns)), None,
    )  # fmt: skip


def _fits(seen: Seen | None, names: Mapping[str, Any], needed: Sequence[str], least: int = 1) -> bool:
    """Whether a file has the needed columns of a known corpus, and `least` of its columns in all."""
    have = seen.columns if seen else set()
    found = {ours for ours, theirs in names.items() if any(set(parts_of(one)) <= have for one in theirs)}
    return {*needed} <= found and len(found) >= least


def _kind(seen: Seen) -> str:
    """What the rows are, by the columns that refer to something."""
    review, described, event, relation = (_columns(seen, kind) for kind in ("reviews", "items", "events", "relations"))
    if {*REQUIRED["relations"]} <= relation.keys() and "item_id" not in review:
        return "relations"
    user = "user_id" in review
    item = "item_id" in (review if user else described)
    if user and item and "kind" in event and not {"stars", "text"} & review.keys():
        return "events"
    if item and not user and "stars" not in review:
        return "items"
    return "users" if user and not item and "timestamp" not in review else "reviews"


def _columns(seen: Seen, kind: str) -> dict[str, str]:
    columns: dict[str, str] = {}
    for ours in HINTS[kind]:
        found = _column_of(seen, columns, ours, seen.form.dates, kind)
        if found is None and ours == C.TIMESTAMP:
            free = sorted(seen.columns - {*columns.values()})
            found = next((name for name in free if _can_be(seen, ours, name, seen.form.dates)), None)
        if found:
            columns[ours] = found
    return columns


def _column_of(
    seen: Seen, columns: Mapping[str, str], ours: str, dates: str | None, kind: str = "reviews"
) -> str | None:
    """The likeliest column of those that are free, by its name and what it holds."""
    free = sorted(
        seen.columns - {*columns.values()},
        key=lambda name: (ours in REFERENCE and not _is_id(name), _last(name) in _ABOUT, name),
    )
    hints = HINTS[kind][ours]
    likely = chain(
        (name for hint in hints for name in free if _hinted(_last(name), hint)),
        (name for hint in hints for name in free if _hinted(name, hint)),
    )
    return next((name for name in likely if _can_be(seen, ours, name, dates)), None)


def _last(name: str) -> str:
    return name.rpartition(".")[2]


def _is_id(name: str) -> bool:
    return bool(re.search(r"(?:^|_|[a-z])(?:id|ids|asin|sku|isbn|code|key)$", name, re.IGNORECASE))


def _hinted(name: str, hint: str) -> bool:
    return name.lower() == hint[1:] if hint.startswith("=") else hint in name.lower()


def _can_be(seen: Seen, ours: str, name: str, dates: str | None) -> bool:
    values = [row[name] for row in seen.rows[:_ROWS] if row.get(name) is not None]
    if ours == C.TIMESTAMP:
        return bool(values) and sum(_is_time(value, dates) for value in values) > 0.5 * len(values)
    if ours == C.STARS:
        return not values or sum(map(_is_stars, values)) > 0.5 * len(values)
    if ours == "kind":
        texts = {value for value in values if isinstance(value, str)}
        return 0 < len(texts) <= _MOST_KINDS and all(re.match(r"[^\W\d]", text) and len(text) < 40 for text in texts)
    return True


def _is_stars(value: Any) -> bool:
    try:
        return is_yes_or_no(value) or parse_stars(value, _ANY_STARS) is not None
    except RowError:
        return False


def _is_time(value: Any, dates: str | None) -> bool:
    try:
        return bool(parse_timestamp(value, dates))
    except RowError as error:
        return error.reason == "timestamp_ambiguous"


def _rest(seen: Seen, kind: str, columns: dict[str, str]) -> tuple[dict[str, Any], list[str]]:
    """(what else the section says of such files, the doubts)."""
    if kind == "users":
        labels = {_plain(name): name for name in sorted(seen.columns - {*columns.values()}) if _few(seen, name)}
        return {"user_attributes": labels} if labels else {}, []
    if kind == "events" and "kind" in columns:
        return _outcome(Counter(str(row.get(columns["kind"])) for row in seen.rows))
    if kind != "reviews":
        return {}, []
    given = [row[columns[C.STARS]] for row in seen.rows if row.get(columns.get(C.STARS, "")) is not None]
    liked = {"stars_min": 0, "stars_max": 1} if given and all(map(is_yes_or_no, given)) else {}
    return liked, [*_ambiguous(seen, columns)]


def _outcome(kinds: Counter[str]) -> tuple[dict[str, Any], list[str]]:
    named = {theirs: kind_name(theirs) for theirs, _ in kinds.most_common(_MOST_KINDS)}
    outcome = next((name for name in OUTCOMES if name in named.values()), next(iter(named.values()), None))
    shown = ", ".join(f"{theirs} ({n})" for theirs, n in kinds.most_common(8))
    return {"outcome": outcome}, [f"outcome: which of {shown} is to be predicted? corpus.event_kinds renames them"]


def _plain(name: str) -> str:
    return re.sub(r"\W+", "_", name.lower()).strip("_") or "label"


def _few(seen: Seen, name: str) -> bool:
    values = {str(row[name]) for row in seen.rows if row.get(name) is not None}
    return 1 < len(values) <= _MOST_LABELS and len(values) < 0.5 * len(seen.rows) + 2


def _ambiguous(seen: Seen, columns: dict[str, str]) -> Iterator[str]:
    time = columns.get("timestamp", "")
    for row in seen.rows[:_ROWS]:
        try:
            parse_timestamp(row.get(time, 0), seen.form.dates)
        except RowError as error:
            if error.reason == "timestamp_ambiguous":
                yield f"{time}: {error.detail}"
                return
