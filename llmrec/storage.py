"""Where artifacts live: whole or absent, versioned, and telling how they were made.

An artifact is `ROOT/STAGE/ID/`, where ID is a hash of everything that decides its content (configuration, code,
parents). Its files lie under a name no other attempt uses; `manifest.json`, written last and in one put, names them.
So an artifact exists exactly when its manifest does, on a local disk or on an object store, neither of which needs
an atomic rename of folders. Two writers of one artifact do no harm: the last manifest wins, and both are whole.
"""

import hashlib
import json
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.dataset as pds
import pyarrow.fs as pafs
from pydantic import BaseModel, ConfigDict

from llmrec.code_identity import code_version
from llmrec.files import delete_folder, filesystem, read_json, write_json, write_parquet

MANIFEST = "manifest.json"


def canonical_json(value: Any) -> str:
    """The one JSON text of `value`: sorted keys, no spaces, UTF-8."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=str)


def fingerprint(value: Any, length: int = 16) -> str:
    """Hex digits of sha256 over the canonical JSON of `value`."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()[:length]


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

    def holds(self, name: str) -> bool:
        """Whether there is a table `name`."""
        return any(r.path.split("/", 1)[1].startswith((f"{name}/", f"{name}.parquet")) for r in self.manifest.files)

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

    def ids(self, stage: str) -> list[str]:
        """Of a stage's artifacts, finished or not, in order."""
        fs, base = filesystem(f"{self.root}/{stage}")
        return sorted(info.base_name for info in fs.get_file_info(pafs.FileSelector(base, allow_not_found=True)))

    @contextmanager
    def build(
        self,
        stage: str,
        artifact_id: str,
        *,
        module: str,
        config: Mapping[str, Any],
        parents: Mapping[str, str],
        also: tuple[str, ...] = (),
    ) -> Iterator[ArtifactWriter]:
        """Make the artifact that `artifact_id` named: it exists once the block ends without an error; `find` it."""
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
            code_version=code_version(module, *also), config=dict(config), parents=dict(parents),
            counts=writer.counts, info=writer.info, files=_list_files(root, writer.attempt),
        )  # fmt: skip
        write_json(f"{root}/{MANIFEST}", manifest.model_dump())


def artifact_id(module: str, config: Mapping[str, Any], parents: Mapping[str, str], also: tuple[str, ...] = ()) -> str:
    """The id of what a stage's `module` makes from this configuration and these parents.

    `also`: modules that it imports by a name from the configuration, such as `llmrec.models.retrievers.ease`.
    """
    return fingerprint({"code": code_version(module, *also), "config": config, "parents": parents})


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
