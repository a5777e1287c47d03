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
#: First bytes -> what a file is that holds no rows as it stands, and the remedy.
_FOREIGN = (
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive; unpack it"),
    (b"Rar!\x1a\x07", "a RAR archive; unpack it"),
    (b"]\x00\x00", "packed as LZMA alone; unpack it, or pack it as xz"),
    (b"SQLite format 3\0", "a SQLite database; export its tables as CSV"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an Excel or Office file of the old kind; save it as CSV"),
    (b"ARROW1", "Arrow (Feather); write it as Parquet"), (b"ORC\n", "ORC; write it as Parquet"),
    (b"Obj\x01", "Avro; write it as Parquet or as lines of JSON"), (b"\x89HDF", "HDF5; write it as Parquet"),
    (b"\x80\x02", "a Python pickle, which could run code; write it as Parquet"),
    (b"\x80\x03", "a Python pickle, which could run code; write it as Parquet"),
    (b"\x80\x04\x95", "a Python pickle, which could run code; write it as Parquet"),
    (b"\x80\x05\x95", "a Python pickle, which could run code; write it as Parquet"),
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


def foreign(head: bytes) -> str | None:
    """What else a file is that begins so, and what to do; None: nothing known here."""
    if head[257:262] == b"ustar":
        return "a tar archive; unpack it and name the files in it"
    return next((what for magic, what in _FOREIGN if head.startswith(magic)), None)


def unpacked(stream: pa.NativeFile, packing: str | None) -> Iterator[bytes]:
    """The unpacked bytes in pieces. Raises CutOffError after the last byte before damage."""
    if packing in _MADE:
        yield from _members(stream, packing, _MADE[packing])
    elif packing is None:
        yield from iter(lambda: bytes(stream.read(CHUNK)), b"")
    else:
        yield from _careful(stream, packing)


def _careful(stream: pa.NativeFile, packing: str) -> Iterator[bytes]:
    """Damage takes all that its read would have given: it is approached again in ever smaller steps."""
    given, broken, sources = 0, "", []
    for size in (CHUNK, 1 << 10, 1):
        stream.seek(0)
        source = _opened(stream, packing)
        sources.append(source)  # the stream is closed with the last reference to one
        try:
            _skip(source, given)
            while chunk := bytes(source.read(size)):
                given += len(chunk)
                yield chunk
            return
        except (OSError, zipfile.BadZipFile, zlib.error, EOFError) as error:
            broken = f"{error}"
    raise CutOffError(f"the {packing} stream breaks off: {broken}")


def _skip(source: Any, length: int) -> None:
    while length:
        length -= len(source.read(min(length, CHUNK)))


def _opened(stream: pa.NativeFile, packing: str) -> Any:
    return _only_member(stream) if packing == "zip" else pa.CompressedInputStream(stream, packing)


def _only_member(stream: pa.NativeFile) -> Any:
    try:
        archive = zipfile.ZipFile(stream)
    except zipfile.BadZipFile as error:
        raise CutOffError(f"the zip archive is damaged: {error}") from None
    names = [i.filename for i in archive.infolist() if not i.is_dir() and not i.filename.startswith("__MACOSX/")]
    if "[Content_Types].xml" in names:
        raise ValueError("an Excel or Office file; save it as CSV")
    if len(names) != 1:
        raise ValueError(
            f"a zip archive with {len(names)} files ({', '.join(names[:5])}); expected one; unpack it and name them"
        )
    try:
        return archive.open(names[0])
    except (RuntimeError, NotImplementedError) as error:  # a password, a method that Python lacks
        raise ValueError(f"the zip archive cannot be read: {error}; unpack it and name the file") from None


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
