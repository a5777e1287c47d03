"""One door to every reader: by name, imported when it is named."""

from collections.abc import Mapping
from importlib import import_module
from types import MappingProxyType
from typing import Any

from llmrec.config import EncoderConfig
from llmrec.reading.readers.base import ReaderSpec, ReadInputs
from llmrec.reading.settings import deciding
from llmrec.storage import fingerprint

#: Raised whenever this room changes what a reading means.
READING_VERSION = 2
_ROOM = "llmrec.reading.readers"
#: Name -> "module:Class"; `names.READERS` says a line of each.
READERS: Mapping[str, str] = MappingProxyType({
    "lexicon": f"{_ROOM}.lexicon:LexiconReader",
    "head": f"{_ROOM}.head:HeadReader",
    "choose": f"{_ROOM}.choose:ChooseReader",
    "generate": f"{_ROOM}.generate:GenerateReader",
})  # fmt: skip


def module_of(name: str) -> str:
    """The module that holds the reader: what its version depends on."""
    return READERS[name].partition(":")[0]


def reader_class(name: str) -> Any:
    """The class of the reader. Raises KeyError."""
    module, _, attribute = READERS[name].partition(":")
    return getattr(import_module(module), attribute)


def prepare(inputs: ReadInputs) -> ReaderSpec:
    """The reader that the configuration names, ready to be made anywhere. Raises ValueError."""
    settings = inputs.config.reading
    assert settings.reader is not None
    state, made_of = reader_class(settings.reader).prepare(inputs)
    made = fingerprint({"version": READING_VERSION, **deciding(settings), **made_of})
    return ReaderSpec(settings.reader, settings, state, made)


def make_reader(spec: ReaderSpec, config: EncoderConfig | None = None, threads: int | None = None, **_: int) -> Any:
    """A reader on `threads` CPU threads (None: all cores): what an actor of the encode job's calls its worker."""
    return reader_class(spec.name)(spec, threads)
