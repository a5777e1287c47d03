"""Where artifacts live: whole or absent, versioned, and telling how they were made.

An artifact is `ROOT/STAGE/ID/`, where ID is a hash of everything that decides its content (configuration, code,
parents). Its files lie under a name no other attempt uses; `manifest.json`, written last and in one put, names them.
So an artifact exists exactly when its manifest does, on a local disk or on an object store, neither of which needs
an atomic rename of folders. Two writers of one artifact do no harm: the last manifest wins, and both are whole.
"""

import hashlib
import json
import os
import tempfile
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.dataset as pds
import pyarrow.fs as pafs
import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict

import llmrec

MANIFEST = "manifest.json"
_COPIED = 1 << 24  # bytes of a file that are in memory while it is copied
_CACHED_S = 7 * 86_400.0
#: The rooms in the order of the flow: an artifact depends on the code of its own room and of those before it.
ROOMS = ("schema.py", "storage.py", "config", "corpus", "encoding", "features", "models", "training", "bundle.py",
         "recommender.py", "evaluation", "experiment.py")  # fmt: skip


def canonical_json(value: Any) -> str:
    """The one JSON text of `value`: sorted keys, no spaces, UTF-8."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=str)


def fingerprint(value: Any, length: int = 16) -> str:
    """Hex digits of sha256 over the canonical JSON of `value`."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()[:length]


@cache
def code_version(room: str) -> str:
    """Hash of the package's sources up to and including `room` (a name in ROOMS)."""
    root = Path(llmrec.__file__).parent
    names = ROOMS[: ROOMS.index(room) + 1]
    files = [p for n in names for p in ([root / n] if n.endswith(".py") else sorted((root / n).rglob("*.py")))]
    digest = hashlib.sha256(llmrec.__version__.encode())
    for path in files:
        if path.exists():
            digest.update(str(path.relative_to(root)).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:12]


class FileRecord(BaseModel):
    """One file of an artifact: `name` is what readers ask for, `path` is relative to the artifact."""

    model_config = ConfigDict(extra="forbid")
    path: str
    bytes: int


class Manifest(BaseModel):
    """How an artifact was made, what is in it, and the sum of its rows."""

    model_config = ConfigDict(extra="forbid")
    stage: str
    id: str
    created_unix: float
    seconds: float
    code_version: str
    config: dict[str, Any]
    parents: dict[str, str]
    counts: dict[str, int]  # rows_in = rows_out + quarantined wherever the three are given
    info: dict[str, Any]
    files: list[FileRecord]


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
    """Copy one file, from anywhere to anywhere, as `writing` writes. Raises FileNotFoundError."""
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
    copy = folder / fingerprint([uri, info.size, info.mtime_ns])
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
    for path in folder.iterdir():
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


@dataclass(frozen=True)
class Artifact:
    """A finished artifact. `reused` says that it was there already."""

    root: str
    manifest: Manifest
    reused: bool = False

    @property
    def id(self) -> str:
        return self.manifest.id

    def uri(self, name: str) -> str:
        """URI of the file called `name`; raises FileNotFoundError naming what the artifact does hold."""
        for record in self.manifest.files:
            if record.path.split("/", 1)[1] == name:
                return f"{self.root}/{record.path}"
        held = sorted(r.path.split("/", 1)[1] for r in self.manifest.files)
        raise FileNotFoundError(f"{self.root}: no file {name!r}; it holds {held[:20]}")

    def uris(self, prefix: str) -> list[str]:
        """URIs of all files under the folder `prefix`, in order of name."""
        return sorted(
            f"{self.root}/{r.path}"
            for r in self.manifest.files
            if r.path.split("/", 1)[1].startswith(prefix.rstrip("/") + "/")
        )

    def dataset(self, name: str, schema: pa.Schema | None = None) -> pds.Dataset:
        """The table `name`: its one file `name.parquet` or all the parts under `name/`."""
        uris = self.uris(name) or [self.uri(f"{name}.parquet")]
        fs, _ = filesystem(uris[0])
        return pds.dataset([filesystem(u)[1] for u in uris], filesystem=fs, format="parquet", schema=schema)

    def table(self, name: str, columns: list[str] | None = None) -> pa.Table:
        """The whole table `name` in memory."""
        return self.dataset(name).to_table(columns=columns)

    def json(self, name: str) -> Any:
        """The parsed JSON file `name`."""
        return read_json(self.uri(name))


@dataclass
class ArtifactWriter:
    """An artifact in the making: write under `folder`, fill `counts` and `info`; `Storage.build` commits it."""

    root: str
    attempt: str
    counts: dict[str, int] = field(default_factory=dict)
    info: dict[str, Any] = field(default_factory=dict)

    @property
    def folder(self) -> str:
        """URI of the folder that only this attempt writes to (Ray tasks may write parts below it)."""
        return f"{self.root}/{self.attempt}"

    def uri(self, name: str) -> str:
        """URI for a file of this attempt."""
        return f"{self.folder}/{name}"

    def write_table(self, name: str, table: pa.Table) -> None:
        """Write the whole table `name` as one Parquet file."""
        write_parquet(self.uri(f"{name}.parquet"), table)

    def write_json(self, name: str, value: Any) -> None:
        write_json(self.uri(name), value)


@dataclass(frozen=True)
class Storage:
    """The folder (local path or URI) that all artifacts of a project live under."""

    root: str

    def __post_init__(self) -> None:
        if "://" not in self.root:
            object.__setattr__(self, "root", str(Path(self.root).expanduser().absolute()))

    def find(self, stage: str, artifact_id: str) -> Artifact | None:
        """The finished artifact, or None. Raises ValueError where its manifest names a file that is cut or gone."""
        root = f"{self.root}/{stage}/{artifact_id}"
        data = read_json(f"{root}/{MANIFEST}")
        if data is None:
            return None
        artifact = Artifact(root, Manifest.model_validate(data), reused=True)
        _check_files(artifact)
        return artifact

    @contextmanager
    def build(
        self,
        stage: str,
        artifact_id: str,
        *,
        room: str,
        config: Mapping[str, Any],
        parents: Mapping[str, str],
    ) -> Iterator[ArtifactWriter]:
        """Make an artifact: it exists once the block ends without an error. Get it with `find`."""
        root = f"{self.root}/{stage}/{artifact_id}"
        writer = ArtifactWriter(root, uuid.uuid4().hex[:12])
        started = time.time()
        try:
            yield writer
        except BaseException:
            delete_folder(writer.folder)
            raise
        check_row_sum(stage, writer.counts)
        manifest = Manifest(
            stage=stage, id=artifact_id, created_unix=started, seconds=time.time() - started,
            code_version=code_version(room), config=dict(config), parents=dict(parents), counts=writer.counts,
            info=writer.info, files=_list_files(root, writer.attempt),
        )  # fmt: skip
        write_json(f"{root}/{MANIFEST}", manifest.model_dump())


def artifact_id(room: str, config: Mapping[str, Any], parents: Mapping[str, str]) -> str:
    """The id of the artifact that this code makes from this configuration and these parents."""
    return fingerprint({"code": code_version(room), "config": config, "parents": parents})


def check_row_sum(stage: str, counts: Mapping[str, int]) -> None:
    """Promise 4: rows_in = rows_out + quarantined, or the artifact is not committed."""
    if not {"rows_in", "rows_out", "quarantined"} <= set(counts):
        return
    rows_in, rows_out, bad = counts["rows_in"], counts["rows_out"], counts["quarantined"]
    if rows_in != rows_out + bad:
        raise RuntimeError(
            f"{stage}: {rows_in} rows in, but {rows_out} out + {bad} quarantined = {rows_out + bad}; nothing was "
            "committed. This is a defect of llmrec: please report it with the manifest's configuration."
        )


def _list_files(root: str, attempt: str) -> list[FileRecord]:
    fs, base = filesystem(f"{root}/{attempt}")
    selector = pafs.FileSelector(base, recursive=True, allow_not_found=True)
    infos = [i for i in fs.get_file_info(selector) if i.type == pafs.FileType.File]
    records = [FileRecord(path=attempt + i.path[len(base) :], bytes=i.size or 0) for i in infos]
    return sorted(records, key=lambda r: r.path)


def _check_files(artifact: Artifact) -> None:
    fs, base = filesystem(artifact.root)
    infos = fs.get_file_info([f"{base}/{r.path}" for r in artifact.manifest.files])
    for record, info in zip(artifact.manifest.files, infos, strict=True):
        found = info.size if info.type == pafs.FileType.File else None
        if found != record.bytes:
            state = "is missing" if found is None else f"has {found} bytes"
            raise ValueError(
                f"{artifact.root}/{record.path} {state}; its manifest says {record.bytes} bytes. Delete "
                f"{artifact.root}/{MANIFEST} and run again: the stage is then made anew."
            )
