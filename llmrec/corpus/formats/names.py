"""What this configuration's files call their columns, and what is known of a file before it is opened."""

from pathlib import PurePosixPath

from llmrec.config.corpus import ITEM_COLUMNS, REVIEW_COLUMNS, CorpusConfig
from llmrec.config.reading import ReadingConfig
from llmrec.corpus.formats.known import KNOWN, Known, Names
from llmrec.corpus.readers.detect import Hints
from llmrec.corpus.readers.files import InputFile
from llmrec.schema import CONTEXT_PREFIX, VECTOR_PREFIX

REQUIRED = {"reviews": ("user_id", "item_id", "timestamp"), "items": ("item_id",)}
_TABLE = Known({name: (name,) for name in REVIEW_COLUMNS}, {name: (name,) for name in ITEM_COLUMNS})


def known(config: CorpusConfig) -> Known:
    """The corpus that `source` names."""
    return KNOWN.get(config.source, _TABLE)


def names_of(config: CorpusConfig, kind: str) -> Names:
    """The names of the columns of `kind` ("reviews" or "items") in this configuration's files."""
    of = known(config)
    names, mapping, prefix, more = (
        (of.items, config.item_columns, VECTOR_PREFIX, config.item_vectors)
        if kind == "items"
        else (of.reviews, config.columns, CONTEXT_PREFIX, config.context_columns)
    )
    set_here = {name: (theirs,) for name, theirs in mapping.items()}
    return dict(names) | set_here | {f"{prefix}{name}": (theirs,) for name, theirs in more.items()}


def mapped(config: CorpusConfig, kind: str) -> set[str]:
    """Our columns that the configuration names a column for: files must have it."""
    if kind == "reviews":
        return {*config.columns, *(f"{CONTEXT_PREFIX}{name}" for name in config.context_columns)}
    return {*config.item_columns, *(f"{VECTOR_PREFIX}{name}" for name in config.item_vectors)}


def outermost(config: CorpusConfig, kind: str) -> set[str]:
    """Every name of a file's columns that may be asked for, nested ones by their outermost part too."""
    flat = {part for names in names_of(config, kind).values() for one in names for part in parts_of(one)}
    return flat | {name.partition(".")[0] for name in flat}


def parts_of(theirs: str | tuple[str, ...]) -> tuple[str, ...]:
    """The file's columns behind one name: several where they are joined."""
    return (theirs,) if isinstance(theirs, str) else theirs


def reading_of(config: CorpusConfig, kind: str) -> ReadingConfig:
    """The settings for the files of a kind."""
    return config.review_format if kind == "reviews" else config.item_format


def hints_of(config: CorpusConfig, file: InputFile, kind: str) -> Hints:
    """What the corpus is known for, before its file is opened."""
    of, names = known(config), names_of(config, kind)
    needed = {*REQUIRED[kind], *mapped(config, kind)}
    alternatives = [{part for one in names[name] for part in parts_of(one)} for name in needed if name in names]
    first = {min(one) for one in alternatives if len(one) == 1}
    base = PurePosixPath(file.path).name.lower()
    header = next((h for (k, start), h in of.headers.items() if k == kind and _named(base, file, start)), None)
    settings = "review_format" if kind == "reviews" else "item_format"
    return Hints(header, of.fallback, of.quoted, of.headless, first or {""}, settings)


def _named(base: str, file: InputFile, start: str) -> bool:
    return base.startswith(start) if not start.startswith(".") else (file.suffixes or [""])[-1] == start
