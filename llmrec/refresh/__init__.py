"""Models kept fresh: the server's log of events becomes corpus, models go on, and what is no worse is published."""

from llmrec.refresh.turn import take_turn

__all__ = ["take_turn"]
