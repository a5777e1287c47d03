"""What a file's first bytes say it is packed as, and the bytes in it up to any damage."""

import bz2
import lzma
import zipfile
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import pyarrow as pa

CHUNK = 1 << 20
#: First bytes -> packing. The name of a file is no witness: browsers unpack and keep the name.
_MAGIC = (
    (b"\x1f\x8b", "gzip"), (b"BZh", "bz2"), (b"\xfd7zXZ\x00", "xz"), (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"\x04\x22\x4d\x18", "lz4"), (b"PK\x03\x04", "zip"),
)  # fmt: skip
_MADE: dict[str, Callable[[], Any]] = {
    "gzip": lambda: _Gzip(),
    "bz2": bz2.BZ2Decompressor,
    "xz": lzma.LZMADecompressor,
}


class CutOffError(Exception):
    """A file ends or breaks in the middle; every line before was read. `partial` is the line at the break."""

    line: int | None = None
    partial: bytes = b""


def packing_of(head: bytes) -> str | None:
    """The packing that the first bytes of a file tell; None: plain."""
    return next((name for magic, name in _MAGIC if head.startswith(magic)), None)


def unpacked(stream: pa.NativeFile, packing: str | None) -> Iterator[bytes]:
    """The unpacked bytes in pieces. Raises CutOffError after the last byte before damage."""
    if packing in _MADE:
        yield from _members(stream, packing, _MADE[packing])
        return
    source = _opened(stream, packing)
    while chunk := _read(source, packing):
        yield chunk


def _opened(stream: pa.NativeFile, packing: str | None) -> Any:
    if packing == "zip":
        return _only_member(stream)
    return stream if packing is None else pa.CompressedInputStream(stream, packing)


def _only_member(stream: pa.NativeFile) -> Any:
    try:
        archive = zipfile.ZipFile(stream)
    except zipfile.BadZipFile as error:
        raise CutOffError(f"the zip archive is damaged: {error}") from None
    names = [i.filename for i in archive.infolist() if not i.is_dir() and not i.filename.startswith("__MACOSX/")]
    if len(names) != 1:
        raise ValueError(
            f"corpus: a zip archive with {len(names)} files ({', '.join(names[:5])}); expected one; unpack it and name "
            "the files"
        )
    try:
        return archive.open(names[0])
    except (RuntimeError, NotImplementedError) as error:  # a password, a method that Python lacks
        raise ValueError(f"corpus: the zip archive cannot be read: {error}; unpack it and name the file") from None


def _read(source: Any, packing: str | None) -> bytes:
    try:
        return bytes(source.read(CHUNK))
    except (OSError, zipfile.BadZipFile, zlib.error, EOFError) as error:
        if packing is None:
            raise
        raise CutOffError(f"the {packing} stream breaks off: {error}") from None


class _Gzip:
    """zlib with the face of bz2's and lzma's decompressors."""

    def __init__(self) -> None:
        self._inner = zlib.decompressobj(wbits=31)

    def decompress(self, data: bytes, most: int) -> bytes:
        return self._inner.decompress(self._inner.unconsumed_tail + data, most)

    @property
    def needs_input(self) -> bool:
        return not self._inner.unconsumed_tail

    @property
    def eof(self) -> bool:
        return self._inner.eof

    @property
    def unused_data(self) -> bytes:
        return self._inner.unused_data

    def rest(self) -> bytes:
        return self._inner.flush()


def _members(stream: pa.NativeFile, packing: str, make: Callable[[], Any]) -> Iterator[bytes]:
    """Unpack member after member; the classes for files lose what they unpacked before a cut."""
    member, fresh = make(), True
    while data := bytes(stream.read(CHUNK)):
        while data or not (fresh or member.needs_input):
            try:
                piece = member.decompress(data, CHUNK)
            except (zlib.error, OSError, lzma.LZMAError, EOFError) as error:
                raise CutOffError(f"the {packing} stream is damaged: {error}") from None
            data, fresh = b"", False
            if piece:
                yield piece
            if member.eof:
                data, member, fresh = member.unused_data.lstrip(b"\0"), make(), True
    if not fresh:
        if isinstance(member, _Gzip) and (piece := member.rest()):
            yield piece
        raise CutOffError(f"the {packing} stream ends before its end mark: the file was cut off")
