"""Lists of labels in one field, however it writes them."""

import ast
import json
import re
from typing import Any

from llmrec.corpus.values.errors import missing

_LIST = re.compile(r"\[.*\]|\(.*\)|\{['\"].*\}", re.DOTALL)
_SEPARATORS = ("|", ";", ",", "，", "、", "/")
_NAMES = ("name", "title", "label", "description")


def labels(value: Any, separator: str | None = None) -> list[Any] | None:
    """The labels of a field, flat: a list, a list of lists, of objects with a name, or their text; None: unreadable.

    Of text: "['a', 'b']", "a|b", "a; b", "a, b". `separator` alone is looked for where it is given.
    """
    if missing(value):
        return []
    if isinstance(value, str):
        return _of_text(value.strip(), separator)
    if isinstance(value, (list, tuple, set)):
        found = [labels(part, "\0") for part in value]  # what stands in a list is one label
        known = [part for part in found if part is not None]
        return [leaf for part in known for leaf in part] if known or not found else None
    if isinstance(value, dict):
        name = next((value[n] for n in _NAMES if isinstance(value.get(n), str)), None)
        return None if name is None else [name]
    return None if isinstance(value, (bool, float)) else [value]


def _of_text(text: str, separator: str | None) -> list[Any] | None:
    if _LIST.fullmatch(text) and separator != "\0":
        read = _literal(text)
        return labels(read) if isinstance(read, (list, tuple, set, dict)) else [text]
    if separator:
        return [part.strip() for part in text.split(separator)]
    mark = next((s for s in _SEPARATORS if s in text and _is_list(text, s)), None)
    return [part.strip() for part in text.split(mark)] if mark else [text]


def _is_list(text: str, mark: str) -> bool:
    """Whether the parts are as short as labels are: "Rock, Pop" is a list, a sentence with a comma is none."""
    parts = [part.strip() for part in text.split(mark)]
    return all(part and len(part) <= 40 and len(part.split()) <= 4 for part in parts)


def _literal(text: str) -> Any:
    for read in (json.loads, ast.literal_eval):
        try:
            return read(text)
        except (ValueError, SyntaxError, MemoryError, RecursionError, TypeError):
            continue
    return None
