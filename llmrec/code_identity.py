"""The code that made an artifact: the files that its stage's module imports, found without running them.

A stage's version is a hash of its entry module, of what that imports (inside functions too), of what those import, and
so on. `from llmrec.room import name` leads to the module that defines `name`: nothing runs at import, so what else the
room's `__init__` lists decides nothing. A file that is no module, a template say, belongs to the modules that name it,
or its folder, in a string, relative to where they lie.

Left out is `llmrec.config`: a section holds and checks values, and those a stage reads are hashed beside its code. So
is `llmrec.catalogue`: models are named by the configuration and imported by that name, and who depends on them says so
(`also`); what else can be named decides nothing.
"""

import ast
import hashlib
import re
from collections.abc import Iterable, Iterator
from functools import cache, lru_cache
from pathlib import Path

_ROOT = Path(__file__).parent
_PACKAGE, _LEFT_OUT = "llmrec", ("llmrec.config.", "llmrec.catalogue.")
_RELATIVE_PATH = re.compile(r"\w[\w./-]{0,200}", re.ASCII)  # a longer word names no file, and asking for it fails


@cache
def code_version(*modules: str) -> str:
    """Hash of all the code that `modules` (`llmrec.corpus.stage`) import, of 12 hex digits; fixed for this process."""
    return hash_files(_ROOT, source_files(modules))


def hash_files(root: Path, files: Iterable[Path]) -> str:
    """12 hex digits of the names below `root` and the contents of `files`."""
    digest = hashlib.sha256()
    for path in files:
        digest.update(str(path.relative_to(root)).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:12]


def source_files(modules: Iterable[str], root: Path = _ROOT) -> list[Path]:
    """The files below the package's folder `root` that `modules` are made of. Raises ValueError for no module."""
    found, files, waiting = set[str](), set[Path](), list(modules)
    while waiting:
        name = waiting.pop()
        if name in found or f"{name}.".startswith(_LEFT_OUT):
            continue
        found.add(name)
        path = _file(root, name)
        if path is None:
            raise ValueError(f"code identity: found no module {name!r} under {root}, expected one of {_PACKAGE}")
        names, data = _read(root, path, path.stat().st_mtime_ns)
        files |= {path, *data, *_packages_above(root, path)}
        waiting += names
    return sorted(files)


def _file(root: Path, module: str) -> Path | None:
    """Where a module or package lies; None where there is none."""
    base = root.joinpath(*module.split(".")[1:])
    places = (base / "__init__.py", base.with_suffix(".py"))
    return next((p for p in places if p.is_file()), None)


def _packages_above(root: Path, path: Path) -> Iterator[Path]:
    """The `__init__.py` of every package that is imported on the way to a module."""
    for folder in path.relative_to(root).parents:
        yield root / folder / "__init__.py"


@lru_cache(maxsize=4096)
def _read(root: Path, path: Path, _changed: int) -> tuple[tuple[str, ...], tuple[Path, ...]]:
    """The modules that a file imports, and the files that it names."""
    nodes = list(ast.walk(ast.parse(path.read_bytes())))
    names = {name for node in nodes for name in _imported(root, node)}
    words = {n.value for n in nodes if isinstance(n, ast.Constant) and isinstance(n.value, str)}
    return tuple(names), tuple(f for word in words if _RELATIVE_PATH.fullmatch(word) for f in _data(path.parent / word))


def _imported(root: Path, node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (a.name for a in node.names if a.name.startswith(f"{_PACKAGE}."))
    elif isinstance(node, ast.ImportFrom) and f"{node.module}.".startswith(f"{_PACKAGE}."):
        yield from (_defined_in(root, str(node.module), a.name) for a in node.names)


def _defined_in(root: Path, module: str, name: str) -> str:
    """The module that `from module import name` leads to, through what packages hand on."""
    if _file(root, f"{module}.{name}"):
        return f"{module}.{name}"
    path = _file(root, module)
    if path is not None and path.name == "__init__.py":
        for node in (n for n in ast.parse(path.read_bytes()).body if isinstance(n, ast.ImportFrom)):
            for alias in node.names:
                if (alias.asname or alias.name) == name and f"{node.module}.".startswith(f"{_PACKAGE}."):
                    return _defined_in(root, str(node.module), alias.name)
    return module


def _data(place: Path) -> Iterator[Path]:
    """The file at `place`, or the files of the folder there, that are no modules."""
    inside = [place] if place.is_file() else place.rglob("*") if _holds_data(place) else ()
    yield from (p for p in inside if p.is_file() and p.suffix not in (".py", ".pyc"))


def _holds_data(place: Path) -> bool:
    return place.is_dir() and place.name != "__pycache__" and not (place / "__init__.py").exists()
