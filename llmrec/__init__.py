"""llmrec: reviews in, recommendations out, and a proof of what the text was worth."""

__version__ = "0.1.0"
