"""Records that hold several events."""

from collections.abc import Callable
from typing import Any

Fields = dict[str, Any]


def clicked(fields: Fields) -> list[Fields]:
    """MIND: an impression lists N1-1 N2-0; each that was clicked (-1) is an event of its own."""
    shown = str(fields.get("impressions") or "").split()
    return [{**fields, "impressions": item[:-2]} for item in shown if item.endswith("-1")]


#: (source, kind) -> what makes a record's events of it.
EXPAND: dict[tuple[str, str], Callable[[Fields], list[Fields]]] = {("mind", "reviews"): clicked}
