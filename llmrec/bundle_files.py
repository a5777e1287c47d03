"""The files of a bundle: which belong to it, and whether each is still what was written."""

import hashlib
import re
from pathlib import Path

import pyarrow.fs as pafs

from llmrec.files import filesystem, read_json, write_json
from llmrec.storage import MANIFEST, Artifact, Manifest

CARD, SETTINGS, PROBES, MODELS, DIGESTS = "README.md", "bundle.json", "probes.safetensors", "models", "sha256.json"
_BELONGS = re.compile(
    rf"{re.escape(SETTINGS)}|{PROBES}|{CARD}|{MODELS}/[\w.]+/(model\.json|weights\.safetensors)"
    r"|(spec|history|search)/([\w-]+/){0,2}[\w-]+\.(json|safetensors|npy|arrow)"
)
_READ = 1 << 22  # bytes in memory while a file is hashed


class BundleError(ValueError):
    """A bundle that must not serve; the message names the file, what was found and what was expected."""


def bundle_folder(uri: str) -> tuple[str, str | None]:
    """The folder that holds the bundle's files, and the id of the artifact that it is part of (None: of none).

    Raises BundleError where the artifact lies under another id than its own.
    """
    data = read_json(f"{uri}/{MANIFEST}")
    if data is None:
        return uri, None
    artifact = Artifact(uri, Manifest.model_validate(data))
    lies_under = uri.rsplit("/", 1)[-1]
    if lies_under != artifact.id:
        raise BundleError(f"{uri}/{MANIFEST}: found id {artifact.id!r}, expected {lies_under!r}, as its folder says")
    return artifact.uri(SETTINGS).rsplit("/", 1)[0], artifact.id


def write_digests(uri: str) -> None:
    """Write down what every file of the folder `uri` holds now: {name: sha256}."""
    write_json(f"{uri}/{DIGESTS}", {name: _sha256(f"{uri}/{name}") for name in _names(uri) if name != DIGESTS})


def check_files(uri: str) -> None:
    """Raise BundleError unless the folder `uri` holds the files of a bundle, all of them and as they were written."""
    names = _names(uri)
    if not names:
        raise BundleError(f"{uri}: found no files, expected a bundle; `python -m jobs.train` makes one")
    strangers = [n for n in names if n != DIGESTS and not _BELONGS.fullmatch(n)]
    if strangers:
        raise BundleError(
            f"{uri}: found {strangers[:5]}, which do not belong to a bundle; expected {SETTINGS}, {PROBES}, {CARD}, "
            f"{DIGESTS}, {MODELS}/, spec/, history/ and search/. Delete them if you know where they come from"
        )
    written = _digests(uri)
    held = set(names) - {DIGESTS}
    if held != set(written):
        more, fewer = sorted(held - set(written))[:5], sorted(set(written) - held)[:5]
        raise BundleError(f"{uri}: found {more or 'nothing'} beside, and not {fewer or 'anything missing'}: expected "
                          f"the {len(written)} files that {DIGESTS} names; copy the bundle again")  # fmt: skip
    for name in sorted(held):
        found = _sha256(f"{uri}/{name}")
        if found != written[name]:
            raise BundleError(
                f"{uri}/{name}: damaged or changed: found sha256 {found[:12]}…, expected {str(written[name])[:12]}… as "
                f"{DIGESTS} says; copy the bundle again, or assemble it anew"
            )


def _digests(uri: str) -> dict[str, object]:
    try:
        written = read_json(f"{uri}/{DIGESTS}")
    except ValueError as error:
        raise BundleError(f"{uri}/{DIGESTS}: cannot be read: {error}") from None
    if not isinstance(written, dict):
        found = "none" if written is None else type(written).__name__
        raise BundleError(f"{uri}/{DIGESTS}: found {found}, expected the sha256 of each file; assemble the bundle anew")
    return written


def _names(uri: str) -> list[str]:
    """Names of what lies below the folder, whatever kind it is but a folder. Raises BundleError for a symbolic link."""
    fs, base = filesystem(uri)
    if isinstance(fs, pafs.LocalFileSystem):
        links = [str(p) for p in Path(base).rglob("*") if p.is_symlink()]
        if links:
            raise BundleError(f"{links[0]}: found a symbolic link, expected a file of the bundle's own; copy it whole")
    infos = fs.get_file_info(pafs.FileSelector(base, recursive=True, allow_not_found=True))
    odd = [i.path for i in infos if i.type not in (pafs.FileType.Directory, pafs.FileType.File)]
    if odd:
        raise BundleError(f"{odd[0]}: found neither file nor folder, which does not belong to a bundle")
    return sorted(i.path[len(base) :].lstrip("/") for i in infos if i.type == pafs.FileType.File)


def _sha256(uri: str) -> str:
    fs, path = filesystem(uri)
    digest = hashlib.sha256()
    with fs.open_input_stream(path) as stream:
        while data := stream.read(_READ):
            digest.update(data)
    return digest.hexdigest()
