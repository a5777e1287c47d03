"""Input files: patterns become files, files become lines, whatever the filesystem, packing and damage."""

import fnmatch
import re
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

import pyarrow as pa
import pyarrow.fs as pafs

from llmrec.files import filesystem

CHUNK = 1 << 20
_WILD = re.compile(r"[*?\[]")


@dataclass(frozen=True)
class InputFile:
    """A file to read. `origin` finds its filesystem; size in bytes and mtime in ns tell whether it has changed."""

    origin: str
    path: str
    size: int
    mtime_ns: int

    @property
    def suffixes(self) -> list[str]:
        """Suffixes in lower case, packing left out: [".json"] of reviews.json.gz."""
        return [s.lower() for s in PurePosixPath(self.path).suffixes if s.lower() not in PACKED]

    @property
    def packing(self) -> str | None:
        return PACKED.get(PurePosixPath(self.path).suffix.lower())

    @property
    def here_only(self) -> bool:
        """Whether no other process can read it."""
        return self.origin.startswith("memory:")

    def filesystem(self) -> pafs.FileSystem:
        return filesystem(self.origin)[0]


#: Suffix -> the name that pyarrow knows the packing by.
PACKED = {".gz": "gzip", ".gzip": "gzip", ".bz2": "bz2", ".zst": "zstd", ".lz4": "lz4"}


class CutOffError(Exception):
    """A file ends or breaks in the middle; every line before was read. `partial` is the line at the break."""

    line: int | None = None
    partial: bytes = b""


def resolve(patterns: Sequence[str]) -> list[InputFile]:
    """The files that paths, folders, globs (`*`, `?`, `[..]`, `**`) and URIs name, each once, in order.

    Raises FileNotFoundError for a pattern that names no file.
    """
    found: dict[str, InputFile] = {}
    for pattern in patterns:
        files = _match(pattern)
        if not files:
            raise FileNotFoundError(
                f"corpus: {pattern!r} names no file; expected a file, a folder with files, or a glob that matches some "
                "(paths are relative to the folder the job runs in)"
            )
        found.update({file.path: file for file in files})
    return list(found.values())


def _match(pattern: str) -> list[InputFile]:
    wild = _WILD.search(pattern)
    origin = pattern[: pattern.rfind("/", 0, wild.start()) + 1] or "." if wild else pattern
    fs, base = filesystem(origin)
    info = fs.get_file_info(base)
    if info.type == pafs.FileType.File:
        return [_input(origin, info)]
    if info.type == pafs.FileType.NotFound:
        return []
    rest = pattern[len(origin) if origin != "." else 0 :].lstrip("/") or "*"
    selected = fs.get_file_info(pafs.FileSelector(base, recursive="/" in rest))
    files = [i for i in selected if i.type == pafs.FileType.File and not i.base_name.startswith((".", "_"))]
    matching = [i for i in files if _matches(i.path[len(base.rstrip("/")) + 1 :], rest)]
    return sorted((_input(origin, i) for i in matching), key=lambda f: f.path)


def _matches(path: str, pattern: str) -> bool:
    if "**" in pattern:
        return fnmatch.fnmatchcase(path, pattern) or fnmatch.fnmatchcase(path, pattern.replace("**/", ""))
    parts, patterns = path.split("/"), pattern.split("/")
    return len(parts) == len(patterns) and all(map(fnmatch.fnmatchcase, parts, patterns))


def _input(origin: str, info: pafs.FileInfo) -> InputFile:
    return InputFile(origin, info.path, info.size or 0, info.mtime_ns or 0)


@dataclass(frozen=True)
class Line:
    """A line without its end. `too_long`: only its first bytes were kept."""

    number: int  # 1-based, counted from the start of the range read
    data: bytes
    too_long: bool = False


def read_lines(file: InputFile, start: int, end: int | None, max_bytes: int) -> Iterator[Line]:
    """Lines that begin in bytes [start, end) of the unpacked file (`end` None: to its end), in bounded memory.

    Raises CutOffError after the last whole line of a damaged file, with the rest of the line before the damage.
    """
    with file.filesystem().open_input_file(file.path) as stream:
        if start:
            stream.seek(start - 1)
        yield from _split(_chunks(stream, file.packing), start, end, max_bytes)


def _split(chunks: Iterator[bytes], start: int, end: int | None, max_bytes: int) -> Iterator[Line]:
    number, begun, length, buffer = 0, max(start - 1, 0), 0, bytearray()
    skipping = start > 0  # the line at the byte before belongs to the range before
    try:
        for chunk in chunks:
            *ended, rest = chunk.split(b"\n")
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


def _chunks(stream: pa.NativeFile, packing: str | None) -> Iterator[bytes]:
    if packing == "gzip":
        yield from _gunzip(stream)
        return
    source = stream if packing is None else pa.CompressedInputStream(stream, packing)
    while chunk := _read(source, packing):
        yield chunk


def _read(source: pa.NativeFile, packing: str | None) -> bytes:
    try:
        return bytes(source.read(CHUNK))
    except OSError as error:
        if packing is None:
            raise
        raise CutOffError(f"the {packing} stream breaks off: {error}") from None


def _gunzip(stream: pa.NativeFile) -> Iterator[bytes]:
    """Unpack member after member. zlib itself, since GzipFile loses what it unpacked before a cut."""
    member, fresh = zlib.decompressobj(wbits=31), True
    while data := bytes(stream.read(CHUNK)):
        while data:
            try:
                unpacked = member.decompress(data, CHUNK)
            except zlib.error as error:
                raise CutOffError(f"the gzip stream is damaged: {error}") from None
            fresh = False
            if unpacked:
                yield unpacked
            data = member.unconsumed_tail
            if member.eof:
                data, member, fresh = member.unused_data.lstrip(b"\0"), zlib.decompressobj(wbits=31), True
    if not fresh:
        if rest := member.flush():
            yield rest
        raise CutOffError("the gzip stream ends before its end mark: the file was cut off")
