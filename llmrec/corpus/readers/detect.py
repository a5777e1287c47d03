"""What a file is: packing, encoding, kind and dialect from its first bytes and lines, where settings say nothing."""

import codecs
import json
import re
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import PurePosixPath

from llmrec.config.data.files import ReadingConfig
from llmrec.corpus.readers.dialect import dialect, preamble, with_header
from llmrec.corpus.readers.encoding import encoding_of, is_utf8
from llmrec.corpus.readers.files import PACKED, InputFile
from llmrec.corpus.readers.form import Format
from llmrec.corpus.readers.packing import CHUNK, CutOffError, foreign, packing_of, unpacked

_HEAD = 1 << 18
_NO_DATA = {
    b"<!doctype html": "a web page was saved instead of the file; fetch it again",
    b"<html": "a web page was saved instead of the file; fetch it again",
    b"<?xml": "XML, which llmrec does not read; expected JSON, delimited text or Parquet",
    b"version https://git-lfs": "a pointer of Git LFS instead of the file; fetch it with `git lfs pull`",
    b"%pdf": "a PDF; expected JSON, delimited text or Parquet",
    b"insert into ": "statements of SQL; export the table as CSV",
    b"-- mysql dump": "statements of SQL; export the table as CSV",
}
#: Bytes that no text holds in number; those that some files have between fields, and NUL, are not among them.
_CONTROLS = bytes({*range(3, 9), *range(14, 27), 28, 29, 127})
_LINE_END = re.compile(r"\r+\n|\n|\r")


@dataclass(frozen=True)
class Hints:
    """What the known format of a corpus says of a file, and which names are needed from its header."""

    header: tuple[str, ...] | None = None
    fallback: str | None = None
    quoted: bool | None = None
    headless: str = ""  # what the columns of files without a header may be
    expected: set[str] = field(default_factory=set)
    settings: str = "review_format"


def detect(file: InputFile, reading: ReadingConfig, hints: Hints) -> Format:
    """The format of `file`. Raises ValueError that names the file for what cannot be read."""
    try:
        packing, head = _head(file)
        if reading.kind == "parquet" or head.startswith(b"PAR1"):
            if packing:
                raise ValueError(
                    f"Parquet packed as {packing}; it is compressed by itself: unpack it and name the file"
                )
            return Format("parquet")
        _refuse_other(file, packing, head)
        encoding = reading.encoding or encoding_of(head)
        codecs.lookup(encoding)
        form = Format("json", packing, encoding, None if reading.encoding else hints.fallback)
        if hints.fallback and encoding != "utf-8" and not reading.encoding and not form.wide:
            form = replace(form, encoding="utf-8")
        return _noted(file, reading, _of_text(_decoded(head, form), form, reading, hints))
    except (ValueError, LookupError) as error:
        if str(error).startswith("corpus:"):
            raise
        raise ValueError(f"corpus: {file.path}: {error} (corpus.{hints.settings}){hints.headless}") from None


def _head(file: InputFile) -> tuple[str | None, bytes]:
    with file.open() as stream:
        packing = packing_of(bytes(stream.read(8)))
        stream.seek(0)
        head = b""
        try:
            for chunk in unpacked(stream, packing):
                head += chunk
                if len(head) >= min(_HEAD, CHUNK):
                    break
        except CutOffError:
            pass  # the damage is told as a row when the file is read
    return packing, head[:_HEAD]


def _refuse_other(file: InputFile, packing: str | None, head: bytes) -> None:
    if inner := packing_of(head) if packing else None:
        raise ValueError(f"packed twice, as {inner} within {packing}; unpack it once")
    if what := foreign(head):
        raise ValueError(f"cannot tell rows in it: it is {what}")
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n")[:64]
    named = PurePosixPath(file.path).suffix.lower()
    why = next((what for mark, what in _NO_DATA.items() if start.lower().startswith(mark)), None)
    no_packing = f"not {named[1:]} in spite of its name: " if named in PACKED and packing is None else ""
    if why:
        shown = start.split(b">")[0].split(b"\n")[0].decode("utf-8", "replace") + (">" if b">" in start else "")
        raise ValueError(f"corpus: {file.path}: {no_packing}begins with {shown}, {why}")
    if not _text(head[:4_096]) and not Format("json", encoding=encoding_of(head)).wide:
        raise ValueError(
            f"corpus: {file.path}: {no_packing}cannot tell the format: begins with {start[:16]!r}, which is neither "
            "text nor a packing known here (gzip, bz2, xz, zstd, lz4, zip) nor Parquet"
        )


def _text(head: bytes) -> bool:
    """A NUL here and there is damage in a row; many, or other control codes among them, are another kind of file."""
    controls = len(head) - len(head.translate(None, _CONTROLS))
    return head.count(0) <= 0.2 * len(head) and (controls <= 0.02 * len(head) or (0 not in head and is_utf8(head)))


def _decoded(head: bytes, form: Format) -> str:
    text = codecs.getincrementaldecoder(form.encoding)(errors="replace").decode(head)
    return text.removeprefix("\ufeff")


def _of_text(text: str, form: Format, reading: ReadingConfig, hints: Hints) -> Format:
    end = _LINE_END.search(text)
    if end and end[0] == "\r":  # what else ends lines stands within fields
        form, text = replace(form, line_end=b"\r"), text.replace("\n", " ").replace("\r", "\n")
    lines = text.replace("\r\n", "\n").split("\n")
    if len(text) > _HEAD // 8:
        lines = lines[:-1] or lines  # the last is cut off
    kind = reading.kind or _kind(lines)
    if kind != "delimited":
        return replace(form, kind="json" if reading.kind else kind)
    header = tuple(reading.header) if isinstance(reading.header, tuple) else hints.header
    before, mark = (0, None) if header else preamble(lines)
    skip = before if reading.skip_lines is None else reading.skip_lines
    lines = lines[skip:]
    form = replace(form, kind="delimited", header=header, list_separator=reading.list_separator, skip=skip)
    quoted = reading.quoted if reading.quoted is not None else hints.quoted
    form = dialect(lines, form, reading.separator or mark, quoted, reading.escape, reading.quote)
    given = reading.header if isinstance(reading.header, bool) else None
    return with_header(lines, form, hints.expected, given)


def _kind(lines: list[str]) -> str:
    """json: a value a line; json_values: an array, or objects over several lines; delimited."""
    written = list(islice((line.strip() for line in lines if line.strip()), 20))
    if not written or written[0][0] not in "{[":
        return "delimited" if written else "json"
    opening = written[0][0]
    if _several(written[0]):
        return "json_values"
    if all(line[0] == opening for line in written) and (len(written) > 1 or opening == "{") and not _bare(written[0]):
        return "json"
    return "json" if opening == "{" and len(written) > 1 and written[1][0] == "{" else "json_values"


def _several(line: str) -> bool:
    """Whether one line holds objects one after the other."""
    try:
        _, end = json.JSONDecoder().raw_decode(line)
    except (ValueError, RecursionError):
        return False
    return line.startswith("{") and line[end:].lstrip(" ,").startswith("{")


def _bare(line: str) -> bool:
    """Whether a line opens an object or an array and says no more."""
    try:
        return isinstance(json.loads(line), list) and line.startswith("[{")
    except (ValueError, RecursionError):
        return line in ("{", "[", "[{")


def _noted(file: InputFile, reading: ReadingConfig, form: Format) -> Format:
    """`form` with what was found rather than set."""
    notes = list(form.found)
    named = PurePosixPath(file.path).suffix.lower()
    if (named in PACKED) != (form.packing is not None):
        notes.append(
            f"the name says {'packed' if named in PACKED else 'plain'}, the content is {form.packing or 'plain'}"
        )
    if reading.encoding is None and form.encoding != "utf-8":
        notes.append(f"encoding {form.encoding}, because the first bytes are not UTF-8")
    if form.line_end == b"\r":
        notes.append("lines end in CR alone")
    if form.skip and reading.skip_lines is None:
        notes.append(f"lines before the header: {form.skip}, passed over")
    if form.first_is_row:
        notes.append("the columns are named after values of the first line, which is read as a row; set header")
    return replace(form, found=tuple(notes))
