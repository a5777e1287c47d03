"""The reader that a bundle takes along: what a newcomer says passes through the reader that read the reviews."""

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict

from llmrec.reading.readers.head import class_shares, reading_of
from llmrec.reading.readers.lexicon import read_by_words
from llmrec.reading.settings import ENGINES
from llmrec.reading.vectors import reading_row

Floats32 = npt.NDArray[np.float32]


class ServedReader(BaseModel):
    """A reader as `ReaderSpec.served` wrote it, beside what it read.

    Word lists and a head read within a request; an engine, a second one in the server's process, does not.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    name: str
    fingerprint: str
    weights: list[list[float]] = []  # (3, dim) and (3,) of a head
    bias: list[float] = []

    @property
    def within_a_request(self) -> bool:
        """Whether it reads while somebody waits."""
        return self.name not in ENGINES

    def row(self, text: str, vector: Floats32) -> Floats32:
        """(WIDTH,) what it reads in `text`, whose vector (dim,) is the encoder's; zero where it reads nothing."""
        assert self.within_a_request
        if self.name == "head":
            weights, bias = np.array(self.weights, np.float32), np.array(self.bias, np.float32)
            return reading_row(reading_of(class_shares(vector[None], weights, bias)[0], text))
        return reading_row(read_by_words(text))
