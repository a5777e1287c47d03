"""The registry: versions of what was published under a name, and CURRENT, which names the one in use."""

import re
import time
from typing import Any

import pyarrow.fs as pafs

from llmrec.bundle import Bundle, refuse_untrusted_code, verify
from llmrec.bundle_files import BundleError
from llmrec.files import filesystem, read_json, write_json
from llmrec.storage import Artifact, Storage

_NAME = re.compile(r"[A-Za-z0-9_.-]*[A-Za-z0-9_-][A-Za-z0-9_.-]*")


def publish(storage: Storage, bundle: Artifact, name: str, trust_remote_code: bool = False) -> dict[str, Any]:
    """Let `ROOT/registry/NAME/CURRENT` name this bundle, once it has been loaded and has answered.

    `trust_remote_code`: whether its encoder may run code of its model's folder: a bundle asks, it cannot allow.
    Returns the pointer: bundle (relative to ROOT), uri, id, sequence, published_unix, previous (a sequence, or None).
    Raises BundleError or WeightsError, CURRENT being untouched. Publishing what is current already changes nothing.
    """
    loaded = Bundle.load(bundle.root)
    verify(loaded)
    refuse_untrusted_code(loaded.settings, trust_remote_code)
    now = _pointer(storage, name, "CURRENT")
    if now and now["id"] == bundle.id:
        return _with_uri(storage, now)
    relative = bundle.root.removeprefix(f"{storage.root}/")
    pointer = {
        "bundle": relative, "id": bundle.id, "sequence": _latest_sequence(storage, name) + 1,
        "published_unix": time.time(), "previous": now["sequence"] if now else None,
    }  # fmt: skip
    write_json(f"{_registry(storage, name)}/versions/{pointer['sequence']:06d}", pointer)
    write_json(f"{_registry(storage, name)}/CURRENT", pointer)
    return _with_uri(storage, pointer)


def current(storage: Storage, name: str) -> dict[str, Any]:
    """The pointer of `name`. Raises FileNotFoundError where nothing was published."""
    pointer = _pointer(storage, name, "CURRENT")
    if pointer is None:
        raise FileNotFoundError(
            f"{_registry(storage, name)}/CURRENT: nothing is published as {name!r}; run `python -m jobs.publish`"
        )
    return _with_uri(storage, pointer)


def versions(storage: Storage, name: str) -> list[dict[str, Any]]:
    """The pointers of all that was ever published, in order, without `uri`."""
    numbers = range(1, _latest_sequence(storage, name) + 1)
    found = (_pointer(storage, name, f"versions/{number:06d}") for number in numbers)
    return [pointer for pointer in found if pointer is not None]


def previous(storage: Storage, name: str) -> dict[str, Any] | None:
    """The pointer that `rollback` would go back to; None where there is none."""
    before = current(storage, name)["previous"]
    pointer = None if before is None else _pointer(storage, name, f"versions/{before:06d}")
    return None if pointer is None else _with_uri(storage, pointer)


def rollback(storage: Storage, name: str) -> dict[str, Any]:
    """Let CURRENT name the version before it, once that has been loaded and has answered. Returns the pointer."""
    now = current(storage, name)
    if now["previous"] is None:
        raise BundleError(f"{name}: version {now['sequence']} is the first; there is nothing to roll back to")
    pointer = previous(storage, name)
    if pointer is None:
        raise BundleError(f"{name}: version {now['previous']} is gone from {_registry(storage, name)}/versions")
    verify(Bundle.load(pointer["uri"]))
    write_json(f"{_registry(storage, name)}/CURRENT", {k: v for k, v in pointer.items() if k != "uri"})
    return pointer


def _registry(storage: Storage, name: str) -> str:
    if not _NAME.fullmatch(name):
        raise ValueError(f"registry: found name {name!r}, expected letters, digits, '_', '-' and '.', not only dots")
    return f"{storage.root}/registry/{name}"


def _pointer(storage: Storage, name: str, record: str) -> dict[str, Any] | None:
    found: dict[str, Any] | None = read_json(f"{_registry(storage, name)}/{record}")
    return found


def _with_uri(storage: Storage, pointer: dict[str, Any]) -> dict[str, Any]:
    return pointer | {"uri": f"{storage.root}/{pointer['bundle']}"}


def _latest_sequence(storage: Storage, name: str) -> int:
    fs, base = filesystem(f"{_registry(storage, name)}/versions")
    infos = fs.get_file_info(pafs.FileSelector(base, allow_not_found=True))
    return max((int(i.base_name) for i in infos if i.base_name.isdigit()), default=0)
