"""Records that hold several rows."""

import json
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from llmrec.config.data.corpus import CorpusConfig
from llmrec.corpus.formats.names import reading_of
from llmrec.corpus.values.errors import RowError, show

Fields = dict[str, Any]
Expand = Callable[[Fields], list[Fields]]


def expansion(config: CorpusConfig, kind: str) -> Expand:
    """What makes a record's rows of it; it raises RowError for a record in which the setting `each` names no list."""
    each = reading_of(config, kind).each
    return partial(elements, path=each.split(".")) if each else EXPAND.get((config.source, kind), _alone)


def elements(fields: Fields, path: Sequence[str]) -> list[Fields]:
    """The record once for each part of the list at `path`, which stands in the list's place; none where it is empty.

    One part that stands there without a list is the only one. The list may be written as JSON in a text.
    """
    found: Any = fields
    for name in path:
        found = found.get(name) if isinstance(found, dict) else None
    if isinstance(found, str) and found.lstrip()[:1] in ("[", "{"):
        try:
            found = json.loads(found)
        except ValueError as error:
            raise RowError("no_list", f"column {'.'.join(path)}: found {show(found)}, not JSON: {error}") from None
    if found is None:
        raise RowError("no_list", f"column {'.'.join(path)}: found nothing there, expected a list (`each`)")
    parts = [found] if isinstance(found, dict) else found
    if not isinstance(parts, list):
        raise RowError("no_list", f"column {'.'.join(path)}: found {show(found)}, expected a list (`each`)")
    return [_put(fields, path, part) for part in parts]


def clicked(fields: Fields) -> list[Fields]:
    """MIND: an impression lists N1-1 N2-0; each that was clicked (-1) is an event of its own."""
    shown = str(fields.get("impressions") or "").split()
    return [{**fields, "impressions": item[:-2]} for item in shown if item.endswith("-1")]


#: (source, kind) -> what makes a record's rows of it.
EXPAND: dict[tuple[str, str], Expand] = {("mind", "reviews"): clicked}


def _alone(fields: Fields) -> list[Fields]:
    return [fields]


def _put(fields: Fields, path: Sequence[str], part: Any) -> Fields:
    first, *rest = path
    return {**fields, first: _put(fields[first], rest, part) if rest else part}
