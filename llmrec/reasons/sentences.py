"""A text cut into sentences, each as it stands there."""

import re

#: Sentences of a request that are weighed one by one.
MAX_SENTENCES = 8
#: A full stop ends a sentence before a space or at the end; those of Chinese and Japanese anywhere.
_END = re.compile(r"(?<=[.!?…])[\"'”’)\]]*(?=\s)|(?<=[。！？])|[\r\n]+")


def sentences(text: str) -> list[str]:
    """Verbatim parts of `text`, in order, without the spaces around them: the first MAX_SENTENCES with a letter."""
    found, start = [], 0
    for end in [*(match.end() for match in _END.finditer(text)), len(text)]:
        part = text[start:end].strip()
        if any(c.isalnum() for c in part):
            found.append(part)
        start = end
    return found[:MAX_SENTENCES]
