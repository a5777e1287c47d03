"""Which encoding a file's first bytes are in, and which of its lines say otherwise."""

import codecs
import re

from charset_normalizer import from_bytes

_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF32_BE, "utf-32"), (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"), (codecs.BOM_UTF8, "utf-8"),
)  # fmt: skip
_HIGH = re.compile(rb"[\x80-\xff]+")
_LEAST_SHARE = 0.005  # of lines that are not UTF-8, before the file is taken for something else
_TYPOGRAPHY = set("–—‘’“”…€£¥§©®°·«»¿¡ªº´¨\xa0")


def encoding_of(head: bytes) -> str:
    """The encoding of a file that begins with `head`, "utf-8" where nothing says otherwise."""
    marked = next((name for mark, name in _MARKS if head.startswith(mark)), None)
    if marked or (marked := _wide_without_mark(head)):
        return marked
    lines = [line for line in head.splitlines()[: -1 if len(head) > 1_000 else None] if not line.isascii()]
    foreign = [line for line in lines if not _is_utf8(line)]
    every = max(1, head.count(b"\n") + head.count(b"\r"))
    if len(foreign) < 2 or len(foreign) <= len(lines) - len(foreign) or len(foreign) < _LEAST_SHARE * every:
        return "utf-8"  # a few bad lines are bad lines
    return _legacy(b"\n".join(foreign)[:65_536])


def _wide_without_mark(head: bytes) -> str | None:
    pairs = len(head[:2_000]) // 2
    if pairs < 2:
        return None
    even, odd = head[0:2_000:2].count(0) / pairs, head[1:2_000:2].count(0) / pairs
    if odd > 0.4 and even < 0.1:
        return "utf-16-le"
    return "utf-16-be" if even > 0.4 and odd < 0.1 else None


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True


def _legacy(sample: bytes) -> str:
    runs = [len(run) for run in _HIGH.findall(sample)]
    if sum(runs) < 1.5 * len(runs) and _western(sample):
        return "cp1252"  # single letters among plain ones; statistics on few words guess worse
    if all(length % 2 == 0 for length in runs) and _chinese(sample):
        return "gb18030"
    best = from_bytes(sample).best()
    return str(best.encoding) if best and best.encoding not in ("ascii", "utf_8") else "utf-8"


def _western(sample: bytes) -> bool:
    try:
        text = sample.decode("cp1252")
    except UnicodeDecodeError:
        return False
    return all(c.isalpha() or c in _TYPOGRAPHY for c in text if not c.isascii())


def _chinese(sample: bytes) -> bool:
    """Whether it is GBK of common characters, whose first bytes lie from B0 to D7."""
    try:
        sample.decode("gb18030")
    except UnicodeDecodeError:
        return False
    first = [byte for run in _HIGH.findall(sample) for byte in run[::2]]
    return bool(sum(0xB0 <= byte <= 0xD7 or byte in (0xA1, 0xA3) for byte in first) > 0.9 * len(first))
