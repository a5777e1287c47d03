"""Input files: what paths, folders and globs name, on any filesystem."""

import fnmatch
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

import pyarrow as pa
import pyarrow.fs as pafs

from llmrec.files import filesystem

_WILD = re.compile(r"[*?\[]")


@dataclass(frozen=True)
class InputFile:
    """A file to read. `origin` finds its filesystem; size in bytes and mtime in ns tell whether it has changed."""

    origin: str
    path: str
    size: int
    mtime_ns: int
    in_folder: bool = False  # found in a folder that was named, not named itself

    @property
    def suffixes(self) -> list[str]:
        """Suffixes in lower case, packing left out: [".json"] of reviews.json.gz."""
        return [s.lower() for s in PurePosixPath(self.path).suffixes if s.lower() not in PACKED]

    @property
    def here_only(self) -> bool:
        """Whether no other process can read it."""
        return self.origin.startswith("memory:")

    def open(self) -> pa.NativeFile:
        """The file's bytes as they lie, packed or not."""
        return self.filesystem().open_input_file(self.path)

    def filesystem(self) -> pafs.FileSystem:
        return filesystem(self.origin)[0]


PACKED = {".gz", ".gzip", ".bz2", ".zst", ".lz4", ".xz", ".zip"}


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
    wild = None if _exists(pattern) else _WILD.search(pattern)
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
    return sorted((_input(origin, i, not wild) for i in matching), key=lambda f: f.path)


def _exists(pattern: str) -> bool:
    """Whether a pattern names a file as it stands: `reviews[1].json` is what browsers call a second copy."""
    try:
        fs, path = filesystem(pattern)
        return bool(fs.get_file_info(path).type == pafs.FileType.File)
    except (ValueError, OSError):
        return False


def _matches(path: str, pattern: str) -> bool:
    if "**" in pattern:
        return fnmatch.fnmatchcase(path, pattern) or fnmatch.fnmatchcase(path, pattern.replace("**/", ""))
    parts, patterns = path.split("/"), pattern.split("/")
    return len(parts) == len(patterns) and all(map(fnmatch.fnmatchcase, parts, patterns))


def _input(origin: str, info: pafs.FileInfo, in_folder: bool = False) -> InputFile:
    return InputFile(origin, info.path, info.size or 0, info.mtime_ns or 0, in_folder)
