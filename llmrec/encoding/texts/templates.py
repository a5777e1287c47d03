"""The one template that turns a review or an item into the text that is encoded, offline and online."""

from collections.abc import Iterable, Sequence


def review_text(title: str | None, text: str | None) -> str:
    """Title and body, one a line; "" where there is neither."""
    return _lines((title, text))


def item_text(title: str | None, brand: str | None, categories: Sequence[str] | None, description: str | None) -> str:
    """Title, brand, category path and description, one a line; "" where there is none of them.

    The lines carry no labels, so that the template speaks no language of its own.
    """
    path = " > ".join(c.strip() for c in categories or () if c and c.strip())
    return _lines((title, brand, path, description))


def sequence_text(titles: Iterable[str | None]) -> str:
    """Titles of items that somebody had, one a line, oldest first; "" where none has a title."""
    return _lines(titles)


def _lines(parts: Iterable[str | None]) -> str:
    return "\n".join(stripped for part in parts if part and (stripped := part.strip()))
