"""Section `search`: what a bundle's search index holds."""

from pydantic import Field

from llmrec.config.base import Section


class SearchConfig(Section):
    """The index is part of the bundle: another value makes another bundle."""

    review_words: int = Field(
        1_000, ge=0, description="words of an item's last reviews that are searched beside its own; 0: none"
    )
    quotes: int = Field(
        5,
        ge=0,
        le=100,
        description="sentences of an item's reviews that the bundle holds, for reasons to quote",
    )
