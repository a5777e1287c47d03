"""Addresses and numbers that reach a person."""

import re

Spans = list[tuple[int, int]]
_EMAIL = re.compile(
    r"(?<![\w.+%-])[\w.+%-]{1,64}\s?(?:@|＠|\(at\)|\[at\])\s?[\w-]+(?:\s?(?:\.|\(dot\)|\[dot\])\s?[\w-]+)+",
    re.IGNORECASE,
)
#: Seven digits or more, as people group them: +49 (0)30 123-456, 138 0013 8000. A year or a price is shorter.
_PHONE = re.compile(r"(?<![\w.])\+?\(?\d(?:[\s().\-/]{0,2}\d){6,}(?!\w)")


def addresses_in(text: str) -> Spans:
    """(start, end) of e-mail addresses and telephone numbers."""
    return [match.span() for pattern in (_EMAIL, _PHONE) for match in pattern.finditer(text)]
