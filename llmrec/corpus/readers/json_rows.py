"""JSON: one object a line, Python's dictionaries, or values that follow one another over lines or in one array."""

import ast
import json
import warnings
from typing import Any

from llmrec.corpus.values.errors import RowError, Unreadable

_WRAPPERS = {"$oid", "$date", "$numberInt", "$numberLong", "$numberDouble", "$numberDecimal"}
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
    return {name: _bare(part) for name, part in value.items()} if '"$' in text else value


def _bare(value: Any) -> Any:
    """What MongoDB wraps to tell its type: {"$date": "2014-05-13T16:53:20Z"}, {"$numberLong": "5"}."""
    if isinstance(value, list):
        return [_bare(part) for part in value]
    if not isinstance(value, dict):
        return value
    (name, inner), *more = value.items() or [("", None)]
    if name in _WRAPPERS and not more:
        return _bare(inner)
    return {name: _bare(part) for name, part in value.items()}


def _otherwise(text: str) -> Any:
    """Python's notation (Amazon's 2014 metadata, u'...' of Steam), or JSON with a number too long for Python."""
    text = text.strip().rstrip(",").rstrip()  # an array's line whose brackets went
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
