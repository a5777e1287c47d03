"""The one template that turns a review or an item into the text that is encoded, offline and online."""

from collections.abc import Sequence


def review_text(title: str | None, text: str | None) -> str:
    """Title and body, one a line; "" where there is neither."""
    return _lines((title, text))


def item_text(title: str | None, brand: str | None, categories: Sequence[str] | None, description: str | None) -> str:
    """Title, brand, category path and description, one a line; "" where there is none of them.

    The lines carry no labels, so that the template speaks no language of its own.
    """
    path = " > ".join(c.strip() for c in categories or () if c and c.strip())
    return _lines((title, brand, path, description))


def _lines(parts: Sequence[str | None]) -> str:
    return "\n".join(stripped for part in parts if part and (stripped := part.strip()))
