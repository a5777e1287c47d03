"""Finding a value in a record by the names it may have."""

from collections.abc import Callable
from typing import Any

from llmrec.corpus.formats.names import parts_of

Lookup = Callable[[dict[str, Any]], Any]


def finder(names: tuple[str | tuple[str, ...], ...]) -> Lookup:
    """A function from a record's fields to its first value under one of `names`; None where there is none.

    `a.b.c` is followed to its end, into lists as well; a tuple of names is joined by blanks where all are there.
    """
    plain = [name for name in names if isinstance(name, str)]
    if len(names) == 1 and plain and "." not in plain[0]:
        (only,) = plain
        return lambda fields: _something(fields.get(only))
    ways = [_way(name) for name in names]
    return lambda fields: next((found for way in ways if (found := _something(way(fields))) is not None), None)


def _something(value: Any) -> Any:
    return None if value is None or (type(value) in (str, list) and not value) else value


def _way(name: str | tuple[str, ...]) -> Lookup:
    if not isinstance(name, str):
        ways = [_way(part) for part in parts_of(name)]
        return lambda fields: _joined([way(fields) for way in ways])
    if "." not in name:
        return lambda fields: fields.get(name)
    path = name.split(".")

    def follow(fields: dict[str, Any]) -> Any:
        found = fields.get(name)
        return _inside(fields, path) if found is None else found

    return follow


def _joined(values: list[Any]) -> Any:
    parts = [str(value).strip() for value in values if value is not None]
    return " ".join(parts) if len(parts) == len(values) and all(parts) else None


def _inside(value: Any, path: list[str]) -> Any:
    for n, name in enumerate(path):
        if isinstance(value, list):
            return [found for part in value if (found := _inside(part, path[n:])) is not None]
        if not isinstance(value, dict):
            return None
        rest = ".".join(path[n:])
        if rest in value:
            return value[rest]
        value = value.get(name)
    return value
