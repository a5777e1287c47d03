"""Cleaning of text: NUL bytes, control characters and HTML go; every language stays as it was written.

Chinese, accents, emoji and their joiners, marks of right-to-left text pass through. Two ways to write one word become
one where the corpus says so: composed accents (NFC), full-width letters and digits as plain ones.
"""

import html
import re
import unicodedata
from dataclasses import dataclass
from typing import Any

_MAX_PASSES = 8  # shops escape twice, sometimes thrice; more is an attack
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
_SURROGATE = re.compile(r"[\ud800-\udfff]")
_ENTITY = re.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")
_ESCAPED_AMPERSAND = re.compile(r"&(?:amp;)+")
_TAG_NAMES = (
    "a|abbr|address|article|aside|audio|b|big|blockquote|body|br|button|caption|center|cite|code|col|dd|del|div|dl|dt|"
    "em|embed|font|footer|form|h[1-6]|head|header|hr|html|i|iframe|img|input|ins|label|li|link|main|mark|meta|nav|"
    "object|ol|option|p|pre|q|s|script|section|select|small|source|span|strike|strong|style|sub|sup|table|tbody|td|"
    "textarea|tfoot|th|thead|title|tr|tt|u|ul|video"
)
_TAG = re.compile(rf"</?(?:{_TAG_NAMES})(?:\s[^<>]{{0,2000}})?/?>", re.IGNORECASE)
_INLINE = re.compile(
    r"</?(?:a|abbr|b|big|cite|code|em|font|i|mark|q|s|small|span|strong|sub|sup|tt|u)\b", re.IGNORECASE
)
_UNSEEN = (
    (re.compile(r"<script\b", re.IGNORECASE), re.compile(r"</script\s*>", re.IGNORECASE)),
    (re.compile(r"<style\b", re.IGNORECASE), re.compile(r"</style\s*>", re.IGNORECASE)),
    (re.compile(r"<!--"), re.compile(r"-->")),
)


_WIDE = re.compile(r"[\uff10-\uff19\uff21-\uff3a\uff41-\uff5a\uff66-\uff9f]+")
_PLAIN = re.compile(r"[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff<&]*")


@dataclass(frozen=True, slots=True)
class Cleaned:
    """`text` is None where nothing is left; the flags say what was found, for the portrait."""

    text: str | None
    nul: bool = False
    control: bool = False
    markup: bool = False
    surrogate: bool = False
    cut: bool = False
    not_text: bool = False
    normalised: bool = False

    @property
    def changed(self) -> bool:
        """Whether there is any flag."""
        return self.nul or self.control or self.markup or self.surrogate or self.cut or self.not_text or self.normalised

    @property
    def flags(self) -> list[str]:
        """Names of the changes made, as the portrait counts them."""
        return [
            f for f in ("nul", "control", "markup", "surrogate", "cut", "not_text", "normalised") if getattr(self, f)
        ]


_NOTHING = Cleaned(None)


def clean_text(value: Any, max_chars: int, normal: bool = False) -> Cleaned:
    """The text of a field: a string, a list of strings (joined), a number (written out), or nothing.

    Text longer than `max_chars` characters is cut there, after cleaning. `normal`: see `normalised`.
    """
    if value is None or value == "" or value != value:  # NaN is how pandas writes "nothing"
        return _NOTHING
    if type(value) is str and len(value) <= max_chars and _PLAIN.fullmatch(value):
        return _finished(value.strip(), normal)
    text, not_text = _as_string(value)
    raw = text[: 4 * max_chars]  # markup may be longer than the text in it, but not without end
    nul, surrogate = "\x00" in raw, _SURROGATE.search(raw) is not None
    visible = _CONTROL.sub("", raw)  # before markup: a NUL in a tag must not hide the tag
    stripped = strip_markup(_SURROGATE.sub("\ufffd", visible) if surrogate else visible)
    markup = len(stripped) != len(visible)
    text = _CONTROL.sub("", stripped)  # and after it: an entity can stand for one
    control = len(visible) + raw.count("\x00") != len(raw) or len(text) != len(stripped)
    text = text.strip()
    cut = len(text) > max_chars or len(raw) == 4 * max_chars
    text = text[:max_chars].rstrip()
    normal_text = normalised(text) if normal else text
    return Cleaned(normal_text or None, nul, control, markup, surrogate, cut, not_text, normal_text != text)


def _finished(text: str, normal: bool) -> Cleaned:
    if not normal or text.isascii():
        return Cleaned(text or None)
    changed = normalised(text)
    return Cleaned(changed or None, normalised=changed != text)


def normalised(text: str) -> str:
    """`text` with accents composed (NFC) and full-width letters, digits and half-width kana in their usual width."""
    text = _WIDE.sub(lambda wide: unicodedata.normalize("NFKC", wide[0]), text)
    return unicodedata.normalize("NFC", text)


def strip_markup(text: str) -> str:
    """`text` without HTML tags, comments and scripts, with entities as the characters they stand for.

    "<3", "x < y" and "AT&T" are no markup. In time linear in the text, whatever it holds.
    """
    for _ in range(_MAX_PASSES):
        before = text
        if "<" in text:
            for opening, closing in _UNSEEN:
                text = _without(text, opening, closing)
            text = _TAG.sub(lambda m: "" if _INLINE.match(m[0]) else " ", text)
        if "&" in text:
            text = _ENTITY.sub(lambda m: html.unescape(m[0]), _ESCAPED_AMPERSAND.sub("&", text))
        if text == before:
            break
    return text


def _without(text: str, opening: re.Pattern[str], closing: re.Pattern[str]) -> str:
    kept, position = [], 0
    while start := opening.search(text, position):
        end = closing.search(text, start.end())
        if end is None:
            break
        kept.append(text[position : start.start()])
        position = end.end()
    return " ".join([*kept, text[position:]])


def _as_string(value: Any) -> tuple[str, bool]:
    """(text, whether the value was of a kind that holds no text)."""
    if isinstance(value, str):
        return value, False
    if isinstance(value, (list, tuple)):
        return "\n".join(v for v in value if isinstance(v, str)), False
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return str(value), False
    return "", True
