"""Unpacked bytes become lines, of any end and length, in bounded memory."""

import codecs
from collections.abc import Iterator
from dataclasses import dataclass

from llmrec.corpus.readers.files import InputFile
from llmrec.corpus.readers.form import Format
from llmrec.corpus.readers.packing import CutOffError, unpacked

PLAIN = Format("json")


@dataclass(frozen=True)
class Line:
    """A line without its end. `too_long`: only its first bytes were kept."""

    number: int  # 1-based, counted from the start of the range read
    data: bytes
    too_long: bool = False


def read_lines(file: InputFile, start: int, end: int | None, max_bytes: int, form: Format = PLAIN) -> Iterator[Line]:
    """Lines that begin in bytes [start, end) of the unpacked file (`end` None: to its end), in bounded memory.

    Lines of UTF-16 and UTF-32 come as UTF-8. Raises CutOffError after the last whole line of a damaged file, with the
    rest of the line before the damage.
    """
    with file.open() as stream:
        if start:
            stream.seek(start - 1)
        chunks = unpacked(stream, form.packing)
        yield from _split(
            narrowed(chunks, form.encoding) if form.wide else chunks, start, end, max_bytes, form.line_end
        )


def narrowed(chunks: Iterator[bytes], encoding: str) -> Iterator[bytes]:
    """UTF-16 or UTF-32 as UTF-8; what is no character becomes U+FFFD."""
    decoder = codecs.getincrementaldecoder(encoding)(errors="replace")
    for chunk in chunks:
        yield decoder.decode(chunk).encode("utf-8", "replace")
    yield decoder.decode(b"", True).encode("utf-8", "replace")


def _split(chunks: Iterator[bytes], start: int, end: int | None, max_bytes: int, mark: bytes) -> Iterator[Line]:
    number, begun, length, buffer = 0, max(start - 1, 0), 0, bytearray()
    skipping = start > 0  # the line at the byte before belongs to the range before
    try:
        for chunk in chunks:
            *ended, rest = chunk.split(mark)
            for piece in ended:
                buffer += piece[: max_bytes + 1 - len(buffer)]
                length += len(piece)
                if not skipping:
                    number += 1
                    yield _line(number, buffer, max_bytes)
                begun, length, skipping = begun + length + 1, 0, False
                buffer.clear()
                if end is not None and begun >= end:
                    return
            buffer += rest[: max_bytes + 1 - len(buffer)]
            length += len(rest)
    except CutOffError as error:
        error.line, error.partial = number + 1, bytes(buffer)
        raise
    if buffer and not skipping:
        yield _line(number + 1, buffer, max_bytes)


def _line(number: int, buffer: bytearray, max_bytes: int) -> Line:
    return Line(number, bytes(buffer[:max_bytes]).removesuffix(b"\r"), len(buffer) > max_bytes)
