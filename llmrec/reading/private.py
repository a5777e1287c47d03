"""What of a text is nobody else's business: addresses and numbers that reach a person. Names are not found here."""

import re

HELD_BACK = "[held back]"
_EMAIL = re.compile(
    r"[\w.+%-]+\s?(?:@|＠|\(at\)|\[at\])\s?[\w-]+(?:\s?(?:\.|\(dot\)|\[dot\])\s?[\w-]+)+", re.IGNORECASE
)
#: Seven digits or more, as people group them: +49 (0)30 123-456, 138 0013 8000. A year or a price is shorter.
_PHONE = re.compile(r"(?<![\w.])\+?\(?\d(?:[\s().\-/]{0,2}\d){6,}(?!\w)")


def hold_back(text: str) -> str:
    """The text with e-mail addresses and telephone numbers taken out."""
    return _PHONE.sub(HELD_BACK, _EMAIL.sub(HELD_BACK, text))
