"""Readings as numbers, an event's in a row: what features sum over the past, as they sum the encoder's vectors."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from llmrec.encoding.store.embedding_store import Found
from llmrec.encoding.store.keys import Keys, keys_array
from llmrec.reading.layout import PLACES, WIDTH, bucket
from llmrec.reading.reading import INTENTS, Reading
from llmrec.reading.store import ReadingStore
from llmrec.reading.text.words import CATEGORIES
from llmrec.storage import Artifact, Storage

_ROW = {category: at for at, category in enumerate(CATEGORIES)}


def reading_row(reading: Reading) -> npt.NDArray[np.float32]:
    """(WIDTH,); zero where nothing was read."""
    row = np.zeros(WIDTH, np.float32)
    if reading.sentiment is None:
        return row
    row[PLACES["read"]] = 1
    row[PLACES["sentiment"]] = reading.sentiment, reading.negative or 0, reading.positive or 0
    if reading.intent is not None:
        row[PLACES["intents"]][INTENTS.index(reading.intent)] = 1
    for aspect in reading.aspects:
        at = _ROW.get(aspect.category)
        if at is not None:
            row[PLACES["spoken"]][at] = 1
            judged = row[PLACES["praised" if aspect.polarity > 0 else "blamed"]]
            judged[at] = max(judged[at], abs(aspect.polarity))
    for attribute in reading.attributes:
        at = bucket(f"{attribute.name}={attribute.value.lower()}")
        row[PLACES["attributes"]][at] = 1
        row[PLACES["liked_attributes"]][at] = reading.sentiment
    for words in (*reading.topics, *reading.key_phrases):
        row[PLACES["topics"]][bucket(words.lower())] = 1
    return row


@dataclass(frozen=True)
class ReadingVectors:
    """The store of readings, seen as one of vectors."""

    store: ReadingStore

    def find(self, keys: Sequence[str] | Keys) -> Found:
        """(n, WIDTH) rows of `keys`, zero where nothing was read."""
        raw = keys if isinstance(keys, np.ndarray) else keys_array(keys)
        readings = self.store.read(raw)
        rows = [reading_row(reading or Reading()) for reading in readings]
        vectors = np.stack(rows) if rows else np.zeros((0, WIDTH), np.float32)
        return Found(vectors, vectors[:, 0] > 0)


def open_reading_vectors(storage: Storage, readings: Artifact) -> ReadingVectors:
    """What `readings` was written to, as vectors of WIDTH numbers."""
    return ReadingVectors(ReadingStore(storage.root, readings.manifest.info["fingerprint"]))
