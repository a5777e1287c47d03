"""Reading: what reviews say, once each. See `docs/reading.md`."""

from llmrec.reading.check import check
from llmrec.reading.reading import Reading
from llmrec.reading.stage import read
from llmrec.reading.vectors import ReadingVectors, open_reading_vectors

__all__ = ["Reading", "ReadingVectors", "check", "open_reading_vectors", "read"]
