"""The built-in corpus: generated, seeded, with a known truth."""

from llmrec.corpus.sample.generate import SampleCorpus, generate

__all__ = ["SampleCorpus", "generate"]
