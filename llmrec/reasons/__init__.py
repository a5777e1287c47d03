"""Why an item is in a list: what adds up to its score, what it would lose, and the same in words."""

from llmrec.reasons.explain import Explainer
from llmrec.reasons.past import Guest
from llmrec.reasons.reasons import Because, ItemReasons
from llmrec.reasons.sentences import MAX_SENTENCES, sentences
from llmrec.reasons.silenced import silenced

__all__ = ["MAX_SENTENCES", "Because", "Explainer", "Guest", "ItemReasons", "sentences", "silenced"]
