"""A driver that a test can kill: reads the corpus `hand` under ROOT by word lists, with profiles, on two CPUs."""

import os
import sys
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from encoding_stub import STUB
from ray import cloudpickle

from jobs.cluster import start_local
from llmrec.config import EncodingConfig, ReviewReadingConfig, RunConfig
from llmrec.config.text.reading import ProfilesConfig
from llmrec.encoding import encode
from llmrec.reading import read
from llmrec.reading.readers.base import ReaderSpec
from llmrec.reading.readers.lexicon import LexiconReader
from llmrec.reading.reading import Reading, Readings
from llmrec.storage import Artifact, Storage

BATCH = 50
cloudpickle.register_pickle_by_value(sys.modules[__name__])  # Ray's workers do not see the folder of the tests


class NotedReader(LexiconReader):
    """The reader of word lists, slowed down; writes every text that it was paid for into `ledger`."""

    ledger: Path
    seconds_a_text: float

    def encode(self, texts: Sequence[str]) -> Readings[Reading]:
        time.sleep(self.seconds_a_text * len(texts))
        with self.ledger.open("a") as out:  # one write: appends of several processes do not mix
            out.write("".join(f"{os.getpid()} {text!r}\n" for text in texts))
        return super().encode(texts)


def noted(ledger: Path, seconds_a_text: float, spec: ReaderSpec, *_: Any, **__: int) -> NotedReader:
    reader = NotedReader(spec)
    reader.ledger, reader.seconds_a_text = ledger, seconds_a_text
    return reader


def read_hand(root: str, ledger: str, seconds_a_text: str) -> Artifact:
    """The artifact `readings` of the corpus `hand`; Ray runs already."""
    storage = Storage(root)
    corpus = storage.find("corpus", "hand")
    assert corpus is not None
    reading = ReviewReadingConfig(reader="lexicon", batch_texts=BATCH, profiles=ProfilesConfig(maker="extractive"))
    config = RunConfig(storage=root, encoding=EncodingConfig(encoder=STUB), reading=reading)
    factory = partial(noted, Path(ledger), float(seconds_a_text))
    return read(config, storage, corpus, encode(config, storage, corpus), factory=factory)


if __name__ == "__main__":
    start_local(2, log_to_driver=False, configure_logging=False)
    print(read_hand(*sys.argv[1:]).id)
