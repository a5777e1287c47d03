"""A first configuration for a file that nobody has described: its source, or which column is what, and the doubts."""

from collections.abc import Callable
from typing import Any

import yaml

from llmrec.config.corpus import CorpusConfig
from llmrec.corpus.formats.known import KNOWN
from llmrec.corpus.formats.names import REQUIRED, parts_of
from llmrec.corpus.passes.plan import Seen, peek
from llmrec.corpus.readers.files import resolve
from llmrec.corpus.values.errors import RowError
from llmrec.corpus.values.times import parse_timestamp

#: Our column -> parts of names that people give it, the likeliest first.
_HINTS = {
    "user_id": ("user", "customer", "reviewer", "author", "kunde", "member", "usuario", "cliente", "client", "uid"),
    "item_id": ("item", "product", "asin", "movie", "book", "business", "artikel", "song", "track", "isbn", "article"),
    "timestamp": ("timestamp", "time", "date", "datum", "when", "fecha", "created", "_at"),
    "stars": ("star", "rating", "score", "overall", "sterne", "nota"),
    "title": ("summary", "headline", "title", "titel"),
    "text": ("text", "review", "body", "comment", "content", "kommentar"),
}


def guess(path: str) -> tuple[str, bool]:
    """(YAML with comments, whether every needed column was found) for a file of reviews.

    Raises ValueError or FileNotFoundError for what cannot be read at all.
    """
    (file, *_) = resolve([path])
    config = CorpusConfig(source="table", reviews=(path,))
    try:
        seen = peek(config, "reviews", file)
    except ValueError as error:
        if "no names" not in str(error):
            raise
        return _without_header(path, error), False
    source = _source(seen)
    columns = {} if source else _columns(seen)
    if columns:
        described = CorpusConfig(source="table", reviews=(path,), columns=dict(columns))
        seen = peek(described, "reviews", file)
    doubts = [f"{name}: no column found" for name in REQUIRED["reviews"] if not source and name not in columns]
    section: dict[str, Any] = {"source": source or "table", "reviews": [path], "columns": columns}
    text = yaml.safe_dump({"name": "guessed", "corpus": {k: v for k, v in section.items() if v}}, sort_keys=False)
    notes = [f"found: {name}: {value}" for name, value in seen.form.describe().items() if value]
    notes += [f"doubt: {doubt}" for doubt in doubts + _ambiguous(seen, columns)]
    return text + "".join(f"# {note}\n" for note in notes), not doubts


def _without_header(path: str, error: ValueError) -> str:
    section = {"source": "table", "reviews": [path], "review_format": {"header": ["user_id", "item_id", "timestamp"]}}
    return yaml.safe_dump({"name": "guessed", "corpus": section}, sort_keys=False) + f"# doubt: {error}\n"


def _source(seen: Seen) -> str | None:
    """The known corpus whose needed columns, and at least one more, the file has."""
    for name, known in KNOWN.items():
        found = {ours for ours, names in known.reviews.items() if any(set(parts_of(n)) <= seen.columns for n in names)}
        if {*REQUIRED["reviews"]} <= found and len(found) > 3:
            return name
    return None


def _columns(seen: Seen) -> dict[str, str]:
    columns: dict[str, str] = {}
    for ours, hints in _HINTS.items():
        free = [name for name in sorted(seen.columns) if name not in columns.values()]
        fits: Callable[[str], bool] = (lambda name: _is_time(seen, name)) if ours == "timestamp" else lambda name: True
        found = next((name for hint in hints for name in free if hint in name.lower() and fits(name)), None)
        if ours == "timestamp" and found is None:
            found = next((name for name in free if _is_time(seen, name)), None)
        if found:
            columns[ours] = found
    return columns


def _is_time(seen: Seen, name: str) -> bool:
    values = [row[name] for row in seen.rows[:100] if row.get(name) is not None]
    return bool(values) and sum(_read(value, seen.form.dates) for value in values) > 0.5 * len(values)


def _read(value: Any, dates: str | None) -> bool:
    try:
        return bool(parse_timestamp(value, dates))
    except RowError as error:
        return error.reason == "timestamp_ambiguous"


def _ambiguous(seen: Seen, columns: dict[str, str]) -> list[str]:
    time = columns.get("timestamp", "")
    for row in seen.rows[:100]:
        try:
            parse_timestamp(row.get(time, 0), seen.form.dates)
        except RowError as error:
            if error.reason == "timestamp_ambiguous":
                return [f"{time}: {error.detail}"]
    return []
