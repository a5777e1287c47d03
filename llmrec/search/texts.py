"""The items' own texts, as the corpus has them, and which of their words answer a query."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

import numpy as np
import pyarrow as pa

from llmrec.features.arrays import Ints
from llmrec.files import map_arrow, write_arrow
from llmrec.schema import Column as C
from llmrec.words import Word, words

#: Where an item's own words stand, the most telling first.
FIELDS = (C.TITLE, C.CATEGORIES, C.BRAND, C.DESCRIPTION)
#: Characters of a field that are shown around what matched.
SHOWN = 160
_LARGE = pa.large_string()  # a corpus's descriptions may outgrow 2 GiB


@dataclass(frozen=True)
class Highlight:
    """Where an item's text answers a query: `text` is part of the field as it stands, `words` of `text`, in order."""

    field: str
    text: str
    words: tuple[str, ...]


@dataclass(frozen=True)
class ItemTexts:
    """One row an item, in the History's order; row 0 is empty. Categories lie one a line."""

    table: pa.Table

    @classmethod
    def of(cls, items: pa.Table, where: Ints, n: int) -> Self:
        """The corpus's items spread over `n` rows; row k of the table lies at `where[k]`."""
        place = np.full(n, -1)
        place[where] = np.arange(len(where))
        take = pa.array(place, mask=place < 0)
        lines = pa.array(["\n".join(c or ()) or None for c in items[C.CATEGORIES].to_pylist()], _LARGE)
        columns = {name: lines if name == C.CATEGORIES else items[name].cast(_LARGE) for name in FIELDS}
        return cls(pa.table({name: column.take(take) for name, column in columns.items()}))

    def save(self, uri: str) -> None:
        """Write one Arrow file."""
        write_arrow(uri, self.table)

    @classmethod
    def load(cls, uri: str) -> Self:
        """What `save` wrote, mapped."""
        return cls(map_arrow(uri))

    def fields(self, row: int) -> dict[str, str]:
        """Field -> text of an item, of those that it has; none of one that joined after the index was made."""
        if row >= self.table.num_rows:
            return {}
        found = ((name, self.table[name][row].as_py()) for name in FIELDS)
        return {name: text for name, text in found if text}

    def title(self, row: int) -> str | None:
        """What the item is called."""
        return self.fields(row).get(C.TITLE)

    def highlights(self, row: int, wanted: frozenset[str]) -> tuple[Highlight, ...]:
        """The fields of an item that hold some of the words `wanted`, as `llmrec.words` compares them."""
        return tuple(_highlights(self.fields(row), wanted))


def _highlights(fields: dict[str, str], wanted: frozenset[str]) -> Iterator[Highlight]:
    for name, text in fields.items():
        matched = [word for word in words(text) if word.term in wanted]
        if matched:
            start, end = _window(text, matched[0])
            shown = (word for word in matched if start <= word.start and word.end <= end)
            yield Highlight(name, text[start:end], tuple(text[word.start : word.end] for word in shown))


def _window(text: str, first: Word) -> tuple[int, int]:
    """Where the shown part of `text` begins and ends: SHOWN characters or few more, the first match in it whole."""
    if len(text) <= SHOWN:
        return 0, len(text)
    start = max(0, first.start - SHOWN // 3)
    space = text.rfind(" ", 0, start + 1)
    start = space + 1 if start and start - space < SHOWN // 3 else start
    end = max(start + SHOWN, first.end)
    space = text.rfind(" ", first.end, end)
    return start, space if end < len(text) and space > 0 else min(end, len(text))
