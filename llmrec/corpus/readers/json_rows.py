"""JSON: one object a line, Python's dictionaries, or values that follow one another over lines or in one array."""

import ast
import json
import warnings
from typing import Any

from llmrec.corpus.values.errors import RowError, Unreadable

_MAX_DIGITS = 4_000  # Python refuses to read longer numbers


def parse_object(text: str) -> dict[str, Any]:
    """The fields of a JSON object or of a Python dictionary. Raises RowError for what is neither."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        value = _otherwise(text)
        if value is None:
            raise RowError("malformed_json", f"{error}"[:200]) from None
    if not isinstance(value, dict):
        raise RowError("not_an_object", f"found a JSON {type(value).__name__}, expected an object of fields")
    return value


def _otherwise(text: str) -> Any:
    """Python's notation (Amazon's 2014 metadata, u'...' of Steam), or JSON with a number too long for Python."""
    text = text.strip()
    if not text.startswith("{"):
        return None
    try:
        return json.loads(text, parse_int=_int)
    except (ValueError, RecursionError):
        pass
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a backslash before a letter is no matter of ours
            return ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError, TypeError):
        return None


def _int(digits: str) -> Any:
    return int(digits) if len(digits) <= _MAX_DIGITS else Unreadable(f"a number of {len(digits)} digits")
