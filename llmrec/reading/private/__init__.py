"""What of a text is nobody else's business: addresses, telephone numbers and people's names. Words and patterns find
them, no model does: what they miss and take by mistake is measured (`benchmarks/RESULTS.md`)."""

from llmrec.reading.private.addresses import addresses_in
from llmrec.reading.private.names import names_in

HELD_BACK = "[held back]"


def hold_back(text: str) -> str:
    """The text with e-mail addresses, telephone numbers and names taken out."""
    made, end = list[str](), 0
    for start, stop in sorted([*addresses_in(text), *names_in(text)]):
        if stop > end:  # spans may touch or lie in each other
            made += [text[end:start], HELD_BACK] if start >= end else []
            end = stop
    return "".join([*made, text[end:]])


def holds_private(text: str) -> bool:
    """Whether anything of the text is held back."""
    return bool(addresses_in(text) or names_in(text))
