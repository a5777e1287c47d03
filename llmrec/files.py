"""Files by URI, on any filesystem that pyarrow or fsspec knows: written whole or not at all, read, copied, mapped."""

import hashlib
import json
import os
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.fs as pafs
import pyarrow.parquet as pq

_COPIED = 1 << 24  # bytes of a file that are in memory while it is copied
_COPY = "llmrec-copy-"
_CACHED_S = 7 * 86_400.0


def filesystem(uri: str) -> tuple[pafs.FileSystem, str]:
    """(filesystem, path) of a URI or a local path; any scheme pyarrow or fsspec knows."""
    if "://" not in uri:
        return pafs.LocalFileSystem(), str(Path(uri).expanduser().absolute())
    try:
        fs, path = pafs.FileSystem.from_uri(uri)
        return fs, str(path)
    except (pa.ArrowInvalid, NotImplementedError) as error:
        try:
            import fsspec

            fs, path = fsspec.core.url_to_fs(uri)
        except (ImportError, ValueError):
            raise ValueError(
                f"storage: cannot open {uri!r} ({error}); expected a local path or a URI that pyarrow or fsspec "
                "knows (s3://, gs://, hdfs://, file://); install the fsspec driver of that scheme"
            ) from None
        return pafs.PyFileSystem(pafs.FSSpecHandler(fs)), path


@contextmanager
def writing(uri: str) -> Iterator[Any]:
    """A binary stream to one file that appears whole or not at all, and on a local disk survives a power cut."""
    fs, path = filesystem(uri)
    if not isinstance(fs, pafs.LocalFileSystem):
        with fs.open_output_stream(path) as out:  # object stores show an object only once its put is complete
            yield out
        return
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.{uuid.uuid4().hex}.tmp")
    try:
        with temporary.open("wb") as out:
            yield out
            out.flush()
            os.fsync(out.fileno())
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


def write_bytes(uri: str, data: bytes) -> None:
    """Write one file, as `writing` does."""
    with writing(uri) as out:
        out.write(data)


def read_bytes(uri: str) -> bytes | None:
    """The file's bytes, or None where there is no such file."""
    fs, path = filesystem(uri)
    if fs.get_file_info(path).type != pafs.FileType.File:
        return None
    with fs.open_input_stream(path) as stream:
        return bytes(stream.read())


def copy_file(source: str, target: str) -> None:
    """Copy one file, from anywhere to anywhere, as `writing` writes. Raises FileNotFoundError.

    Never by a second name for the same bytes: what is cut short from outside would be cut in every artifact, and a
    server that has it mapped would die of it.
    """
    fs, path = filesystem(source)
    with fs.open_input_stream(path) as stream, writing(target) as out:
        while data := stream.read(_COPIED):
            out.write(data)


def copy_folder(source: str, target: str) -> None:
    """Copy all files below the folder `source`."""
    fs, base = filesystem(source)
    for info in fs.get_file_info(pafs.FileSelector(base, recursive=True)):
        if info.type == pafs.FileType.File:
            name = info.path[len(base) :]
            copy_file(f"{source}{name}", f"{target}{name}")


def local_path(uri: str) -> Path:
    """Where the file lies on this machine, to be mapped. Raises FileNotFoundError.

    Of a file elsewhere that is a copy in `cache_folder`, made once; copies that nobody asked for in a week are deleted
    when another one is made.
    """
    fs, path = filesystem(uri)
    if isinstance(fs, pafs.LocalFileSystem):
        return Path(path)
    info = fs.get_file_info(path)
    if info.type != pafs.FileType.File:
        raise FileNotFoundError(f"{uri}: found no such file")
    folder = cache_folder()
    name = hashlib.sha256(f"{uri}\0{info.size}\0{info.mtime_ns}".encode()).hexdigest()[:32]
    copy = folder / f"{_COPY}{name}"
    try:
        os.utime(copy)
    except FileNotFoundError:
        _sweep(folder)
        copy_file(uri, str(copy))
    return copy


def cache_folder() -> Path:
    """A folder of this machine for what can be had again: LLMREC_CACHE, or one among the system's temporary files."""
    folder = Path(os.environ.get("LLMREC_CACHE") or Path(tempfile.gettempdir()) / f"llmrec-{os.getuid()}")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _sweep(folder: Path) -> None:
    oldest = time.time() - _CACHED_S
    for path in folder.glob(f"{_COPY}*"):  # nothing else: the folder may be anybody's
        with suppress(FileNotFoundError):  # another process sweeps too
            if path.stat().st_mtime < oldest:
                path.unlink()


def write_json(uri: str, value: Any) -> None:
    """`write_bytes` of indented JSON."""
    write_bytes(uri, (json.dumps(value, indent=2, ensure_ascii=False, default=str) + "\n").encode())


def read_json(uri: str) -> Any | None:
    """The parsed file, or None where there is no such file."""
    data = read_bytes(uri)
    return None if data is None else json.loads(data)


def files_of(uri: str, extension: str = ".parquet") -> list[str]:
    """URIs of the files of a folder in order of their names; none where there is no folder."""
    fs, path = filesystem(uri)
    found = fs.get_file_info(pafs.FileSelector(path, allow_not_found=True))
    return [f"{uri}/{name}" for name in sorted(i.base_name for i in found) if name.endswith(extension)]


def delete_folder(uri: str) -> None:
    """Delete the folder and all in it, where there is one."""
    fs, path = filesystem(uri)
    if fs.get_file_info(path).type == pafs.FileType.Directory:
        fs.delete_dir(path)


def write_parquet(uri: str, table: pa.Table) -> None:
    """Write one Parquet file, whole or not at all (it is serialised in memory first: keep files to parts)."""
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd")
    write_bytes(uri, sink.getvalue())


def write_arrow(uri: str, table: pa.Table) -> None:
    """Write one Arrow file, whole or not at all."""
    with writing(uri) as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)


def map_arrow(uri: str) -> pa.Table:
    """What `write_arrow` wrote, mapped."""
    with pa.memory_map(str(local_path(uri))) as source:
        return pa.ipc.open_file(source).read_all()
