"""The built-in corpus: generated, seeded, with a known truth."""

from llmrec.corpus.sample.doings import SAMPLE_ATTRIBUTES, sample_table
from llmrec.corpus.sample.generate import SampleCorpus, SampleTruth, draw_truth, generate
from llmrec.corpus.sample.oracle import choice_probabilities

__all__ = [
    "SAMPLE_ATTRIBUTES", "SampleCorpus", "SampleTruth", "choice_probabilities", "draw_truth", "generate",
    "sample_table",
]  # fmt: skip
