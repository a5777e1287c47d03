"""Reviews from outside become tables: readers, validation, cleaning, splits in time, and a built-in corpus.

What a corpus must have: who (`user_id`), what (`item_id`) and when (`timestamp`). Without an order of events nothing
can be proven leak-free, so a file without times is refused at ingest, by name.

What may be missing, and what is then left out:

- *stars*: no `like` label; the `click` label, features of behaviour and all models remain.
- *text* (and title): the variant `text` has item metadata alone to go by; with neither, both variants are equal.
- *item metadata*: items are known from their first review on, and an item nobody reviewed cannot be recommended.
- *dates in item metadata*: the same for the one item.

Average ratings, rating counts and helpful votes are snapshots taken after the fact: they are never read.
"""

from llmrec.corpus.passes.guess import guess
from llmrec.corpus.stage import check, ingest, odd, vouch

__all__ = ["check", "guess", "ingest", "odd", "vouch"]
