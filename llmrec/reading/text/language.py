"""The language of a text, as far as a reader needs it."""

_HAN = ("一", "鿿")
_CHARS = 2_000  # looked at


def language_of(text: str) -> str | None:
    """ISO 639-1 code; None where there is no letter. Mixed texts are Chinese where a fifth of their letters are."""
    if not any(c.isalpha() for c in text[:_CHARS]):
        return None
    if is_chinese(text):
        return "zh"
    from py3langid import langid  # loads its model at the first text

    return str(langid.classify(text[:_CHARS])[0])


def is_chinese(text: str) -> bool:
    """Whether a fifth of its letters are Chinese characters."""
    letters = [c for c in text[:_CHARS] if c.isalpha()]
    return sum(_HAN[0] <= c <= _HAN[1] for c in letters) * 5 >= max(len(letters), 1)
