"""Word vectors that others have trained: any file in word2vec's text format, as GloVe, fastText and gensim write it."""

import gzip
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from llmrec.encoding.encoders.model_files import in_package
from llmrec.files import local_path
from llmrec.words import folded

_SUFFIXES = (".txt", ".vec", ".txt.gz", ".vec.gz")
_SETTING = "encoding.encoder.model"


def is_vector_file(model: str) -> bool:
    """Whether a static encoder's `model` names such a file, by how the name ends."""
    return model.endswith(_SUFFIXES)


def find_vector_file(model: str) -> Path:
    """Where `package:MODULE/PATH`, a path or a URI lies on this machine. Raises ValueError where there is none."""
    if model.startswith("package:"):
        path = in_package(model.removeprefix("package:"), _SETTING)
    elif "://" in model:
        try:
            path = local_path(model)
        except FileNotFoundError as error:
            raise ValueError(f"{_SETTING}: {error}; expected a file in word2vec's text format") from None
    else:
        path = Path(model).expanduser()
    if not path.is_file():
        raise ValueError(f"{_SETTING}: found no file {model!r}; expected one in word2vec's text format")
    return path


def read_vectors(path: Path) -> tuple[list[str], npt.NDArray[np.float32]]:
    """(n words as `llmrec.words` compares them, their vectors (n, d)); of words alike the first, as files are by rank.

    A line is a word and d numbers, with blanks between them; a first line of two numbers is passed over. Raises
    ValueError naming the line that is not so.
    """
    rows: dict[str, npt.NDArray[np.float32]] = {}
    width = 0
    try:
        with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8") as lines:
            for number, fields in _fields(lines):
                width = width or len(fields) - 1
                if width < 2 or len(fields) <= width:
                    raise ValueError(f"line {number} has {len(fields) - 1} numbers, expected {max(width, 2)}")
                vector = _numbers(fields[-width:], number)
                rows.setdefault(folded(" ".join(fields[:-width])), vector)
    except (UnicodeDecodeError, ValueError, OSError, EOFError) as error:
        raise ValueError(f"{_SETTING}: {path} is not in word2vec's text format: {error}") from None
    if not rows:
        raise ValueError(f"{_SETTING}: {path} holds no word; expected lines of a word and its numbers")
    return list(rows), np.stack(list(rows.values()))


def _fields(lines: Iterable[str]) -> Iterator[tuple[int, list[str]]]:
    """(number, fields) of each line that is a word's."""
    for number, line in enumerate(lines, 1):
        fields = line.split()
        if fields and not (number == 1 and len(fields) == 2):
            yield number, fields


def _numbers(fields: list[str], number: int) -> npt.NDArray[np.float32]:
    vector = np.array(fields, np.float32)
    if not np.isfinite(vector).all():
        raise ValueError(f"line {number} holds a number that is not finite")
    return vector
