"""Search: words to items, by BM25 and by vectors, and what words add to a recommendation. See `docs/search.md`."""

from llmrec.search.filters import AttributeFilter, Filters
from llmrec.search.index import Asked, Matches, SearchIndex
from llmrec.search.likeness import Likeness
from llmrec.search.need import NeededItems, by_need, needed_items, quoting
from llmrec.search.quotes import with_review
from llmrec.search.texts import Highlight

__all__ = ["Asked", "AttributeFilter", "Filters", "Highlight", "Likeness", "Matches", "NeededItems", "SearchIndex",
           "by_need", "needed_items", "quoting", "with_review"]  # fmt: skip
