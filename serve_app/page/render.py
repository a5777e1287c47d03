"""The page's HTML."""

from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import jinja2

from llmrec.reasons import Because
from serve_app.messages import FoundItems, ItemCard, ModelDescription, RankedItems
from serve_app.operator import OperatorView
from serve_app.operator.console import ago
from serve_app.page.state import PageState

STATIC_FOLDER = Path(__file__).parent / "static"
#: Nothing but this page's own files: no other host, no inline script or style, no frame around it.
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Cache-Control": "no-store",
}  # fmt: skip
#: What a list rests on, and why it is not, or less, personal.
_GROUNDS = {
    "history": "what this user reviewed before",
    "recent_items": "what was taken just now",
    "text": "your words",
    "liked_items": "the items that you like",
    "item": "the item that you named",
}
_REASON = {
    "unknown_user": "The server knows no user of that id.",
    "unknown_liked_items": "The server knows none of the items that you like.",
    "nothing_given": "Name a user, or describe yourself, and the list becomes yours.",
    "bundle_without_text": "What is served here reads no words.",
    "encoder_unavailable": "The encoder does not answer just now, so your words were not read.",
    "nothing_matched_your_words": "Nothing matched your words.",
    "no_bundle_of_the_encoder": "Your words counted as they stand: what they mean was read by another encoder.",
    "no_item_allowed": "Nothing passes what was asked for.",
}
_SHOWN_TERMS = 6


@dataclass(frozen=True)
class Found:
    """A list and the cards of all that it names."""

    items: RankedItems
    cards: dict[str, ItemCard]


@dataclass(frozen=True)
class Searched:
    """What a search found, and the cards of it."""

    items: FoundItems
    cards: dict[str, ItemCard]


@dataclass(frozen=True)
class PageView:
    """What is shown: `found` for the state, `similar` items, or a `problem` in words."""

    state: PageState = field(default_factory=PageState)
    found: Found | None = None
    similar: Found | None = None
    searched: Searched | None = None
    model: ModelDescription | None = None
    users: tuple[str, ...] = ()
    problem: str | None = None
    keys: bool = False  # whether the server wants one


def page(view: PageView) -> str:
    """The whole page; everything from outside is escaped."""
    return _environment().get_template("page.html.j2").render(v=view, s=view.state, basis=_basis)


def operator_page(view: OperatorView) -> str:
    """The operator's page."""
    return _environment().get_template("operator.html.j2").render(v=view)


def because(reason: Because, cards: dict[str, ItemCard]) -> str:
    """The statement, an item called by its title."""
    card = cards.get(reason.item_id or "")
    return reason.statement if card is None else reason.statement.removesuffix(card.item_id) + card.title


def moved(listed: list[str], item_id: str, place: int) -> str:
    """Where an item of the list without words stands in the one with them."""
    if item_id not in listed:
        return "(not in the list with words)"
    rank = listed.index(item_id) + 1
    return "(the same place)" if rank == place else f"(with words: {rank})"


def terms(contributions: dict[str, float]) -> list[tuple[str, float, int]]:
    """The largest terms and the rest: name, value, and a bar's length of at most 100."""
    shown = list(contributions.items())[:_SHOWN_TERMS]
    rest = sum(list(contributions.values())[_SHOWN_TERMS:])
    if len(contributions) > _SHOWN_TERMS:
        shown.append((f"{len(contributions) - _SHOWN_TERMS} smaller terms", rest))
    most = max((abs(value) for _, value in shown), default=0) or 1
    return [(name.replace("_", " "), value, round(100 * abs(value) / most)) for name, value in shown]


def _basis(found: RankedItems | FoundItems) -> str:
    grounds = [said for name, said in _GROUNDS.items() if name in found.provenance.basis.split("_and_")]
    said = f"From {' and '.join(grounds)}." if grounds else "What is popular: nothing else is known."
    why = _REASON.get(found.provenance.reason or "", "")
    return f"{said} {why}".strip()


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"), autoescape=True, trim_blocks=True,
        lstrip_blocks=True, undefined=jinja2.StrictUndefined,
    )  # fmt: skip
    environment.globals |= {"ago": ago, "because": because, "moved": moved, "terms": terms}
    return environment
