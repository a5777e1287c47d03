"""docs/extending.md at its word: its files and diffs are added to a copy of the code, and its tests run there."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
COPIED = ("llmrec", "serve_app", "pyproject.toml", "tests/conftest.py", "tests/factories",
          "tests/contract/test_models_contract.py", "tests/unit/serving/conftest.py")  # fmt: skip
_BLOCK = re.compile(r"^```(python|diff) (\S+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(kind: str) -> list[tuple[str, str]]:
    """The document's files, or its diffs: path and text."""
    text = (REPOSITORY / "docs" / "extending.md").read_text(encoding="utf-8")
    return [(path, body) for found, path, body in _BLOCK.findall(text) if found == kind]


def apply(source: str, diff: str) -> str:
    """`source` with each hunk of the diff changed; a hunk's lines must stand there exactly once."""
    for hunk in diff.split("@@\n"):
        lines = hunk.splitlines(keepends=True)
        before, after = ("".join(line[1:] for line in lines if line[0] in signs) for signs in (" -", " +"))
        assert source.count(before) == 1, f"the document changes lines that are not there:\n{before}"
        source = source.replace(before, after)
    return source


@pytest.fixture(scope="module")
def extended(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the code with everything added that the document adds."""
    root = tmp_path_factory.mktemp("extended")
    for name in COPIED:
        source, target = REPOSITORY / name, root / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target)  # what is compiled too, which is valid as long as a file's time is
        else:
            shutil.copy(source, target)
    for name, text in blocks("python"):
        assert not (REPOSITORY / name).exists(), f"{name} exists: the document adds it"
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")
    for name, diff in blocks("diff"):
        (root / name).write_text(apply((root / name).read_text(encoding="utf-8"), diff), encoding="utf-8")
    return root


def run(root: Path, *arguments: str) -> None:
    ran = subprocess.run([sys.executable, "-m", *arguments], cwd=root, capture_output=True, text=True, timeout=300)
    assert ran.returncode == 0, ran.stdout[-5000:] + ran.stderr[-2000:]


def test_the_examples_are_written_as_the_code_is(extended: Path) -> None:
    files = [name for kind in ("python", "diff") for name, _ in blocks(kind)]
    run(extended, "ruff", "format", "--check", "--no-cache", *files)
    run(extended, "ruff", "check", "--no-cache", *files)


def test_the_examples_pass_their_tests_and_the_contract_of_every_model(extended: Path) -> None:
    own = [name for name, _ in blocks("python") if name.startswith("tests/")]
    assert len(own) == 5  # a retriever, a ranker with it in a bundle, a family, a template, a route
    contract = "tests/contract/test_models_contract.py"
    run(extended, "pytest", *own, contract, "-k", "not test_models_contract or markov_chain or lda")
