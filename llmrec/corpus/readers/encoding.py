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
#: Encodings that files are really in; the others only confuse statistics on few words.
_COMMON = [
    "cp1250", "cp1251", "cp1252", "cp1253", "cp1254", "cp1255", "cp1256", "cp1257", "cp874", "koi8_r", "koi8_u",
    "iso8859_2", "cp866", "big5", "gb18030", "cp932", "euc_jp", "cp949",
]  # fmt: skip
_KANA, _HANGUL = re.compile("[\u3041-\u3096\u30a1-\u30fa\u30fc]"), re.compile("[\uac00-\ud7a3]")
_TURKISH, _ICELANDIC = set("ðýþÐÝÞ"), set("áíóúæÁÍÓÚÆ")  # the bytes of ğ, ı, ş; letters that only the other writes
_TYPOGRAPHY = set("–—‘’“”…€£¥§©®°·«»¿¡ªº´¨\xa0")


def encoding_of(head: bytes) -> str:
    """The encoding of a file that begins with `head`, "utf-8" where nothing says otherwise."""
    marked = next((name for mark, name in _MARKS if head.startswith(mark)), None)
    if marked or (marked := _wide_without_mark(head)):
        return marked
    if b"\x1b$B" in head or b"\x1b$@" in head:
        return "iso2022_jp"
    lines = [line for line in head.splitlines()[: -1 if len(head) > 1_000 else None] if not line.isascii()]
    foreign = [line for line in lines if not is_utf8(line)]
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


def is_utf8(data: bytes) -> bool:
    """Whether bytes are UTF-8, but for a character that is cut off at their end."""
    try:
        codecs.getincrementaldecoder("utf-8")().decode(data)
    except UnicodeDecodeError:
        return False
    return True


def _legacy(sample: bytes) -> str:
    runs = [len(run) for run in _HIGH.findall(sample)]
    if sum(runs) < 1.5 * len(runs) and _western(sample):
        return _turkish_or_western(sample)  # single letters among plain ones; statistics on few words guess worse
    if found := _east_asian(sample):
        return found
    if all(length % 2 == 0 for length in runs) and _chinese(sample):
        return "gb18030"
    best = from_bytes(sample, cp_isolation=_alphabets(sample)).best()
    return str(best.encoding) if best and best.encoding not in ("ascii", "utf_8") else "utf-8"


def _alphabets(sample: bytes) -> list[str]:
    """Which encodings may be: small letters tell KOI8 from the others where all letters lie in its two blocks."""
    letters = b"".join(_HIGH.findall(sample))
    first, second = (sum(low <= byte < low + 32 for byte in letters) for low in (0xC0, 0xE0))
    if first > 0.85 * len(letters):
        return ["koi8_r", "koi8_u"]
    if second <= 0.85 * len(letters):
        return _COMMON
    hebrew = len(letters) >= 40 and max(letters) <= 0xFA  # a Russian text of that length has letters beyond
    return ["cp1255"] if hebrew else ["cp1251", "cp1253", "cp1255"]


def _turkish_or_western(sample: bytes) -> str:
    letters = set(sample.decode("cp1252"))
    return "cp1254" if letters & _TURKISH and not letters & _ICELANDIC else "cp1252"


def _east_asian(sample: bytes) -> str | None:
    """Japanese by its kana, Korean by the syllables in use: statistics take either for rare Chinese."""
    for encoding, script, least in (("cp932", _KANA, 0.2), ("euc_jp", _KANA, 0.2), ("cp949", _HANGUL, 0.8)):
        try:
            letters = [c for c in sample.decode(encoding) if not c.isascii() and c.isalpha()]
        except UnicodeDecodeError:
            continue
        written = [c for c in letters if script.match(c) and (script is _KANA or c.encode("euc_kr", "ignore"))]
        if letters and len(written) >= least * len(letters):
            return encoding
    return None


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
