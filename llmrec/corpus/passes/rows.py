"""Records become rows of the `reviews` and `items` tables, or are refused with a reason."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from llmrec.config.corpus import CorpusConfig
from llmrec.corpus.formats.names import Names, names_of
from llmrec.corpus.values import (
    missing,
    parse_date,
    parse_id,
    parse_label,
    parse_price,
    parse_stars,
    parse_timestamp,
    parse_vector,
)
from llmrec.corpus.values.clean import clean_text
from llmrec.schema import CONTEXT_PREFIX, VECTOR_PREFIX, C, pair_hash, review_id

Row = dict[str, Any]


@dataclass
class RowParser:
    """Reads the rows of one kind of file. `repairs` counts what was cleaned or left out of rows that were kept."""

    config: CorpusConfig
    kind: str  # reviews | items
    names: Names = field(init=False)
    repairs: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.names = names_of(self.config, self.kind)
        self._contexts = [f"{CONTEXT_PREFIX}{name}" for name in self.config.context_columns]
        self._vectors = [f"{VECTOR_PREFIX}{name}" for name in self.config.item_vectors]

    def parse(self, fields: dict[str, Any]) -> Row:
        """The row of a record's `fields`; raises RowError where it cannot be used."""
        read: Callable[[dict[str, Any]], Row] = self._review if self.kind == "reviews" else self._item
        return read(fields)

    def _review(self, fields: dict[str, Any]) -> Row:
        user = parse_id(self._value(fields, C.USER_ID), C.USER_ID)
        item = parse_id(self._value(fields, C.ITEM_ID), C.ITEM_ID)
        timestamp = parse_timestamp(self._value(fields, C.TIMESTAMP))
        stars = parse_stars(self._value(fields, C.STARS), self.config.stars_min, self.config.stars_max)
        own_id = self._value(fields, C.REVIEW_ID)
        return {
            C.REVIEW_ID: review_id(user, item, timestamp) if missing(own_id) else parse_id(own_id, C.REVIEW_ID),
            C.USER_ID: user,
            C.ITEM_ID: item,
            C.TIMESTAMP: timestamp,
            C.EVENT_ORDER: pair_hash(user, item),
            C.STARS: stars,
            C.TITLE: self._text(fields, C.TITLE),
            C.TEXT: self._text(fields, C.TEXT),
            **{name: self._optional(fields, name, parse_label) for name in self._contexts},
        }

    def _item(self, fields: dict[str, Any]) -> Row:
        description = [self._text(fields, C.DESCRIPTION), self._text(fields, "features")]
        return {
            C.ITEM_ID: parse_id(self._value(fields, C.ITEM_ID), C.ITEM_ID),
            C.TITLE: self._text(fields, C.TITLE),
            C.DESCRIPTION: "\n".join(part for part in description if part) or None,
            C.BRAND: self._text(fields, C.BRAND),
            C.PRICE: self._optional(fields, C.PRICE, parse_price),
            C.CATEGORIES: self._categories(fields),
            C.AVAILABLE_FROM: self._optional(fields, C.AVAILABLE_FROM, parse_date),
            **{name: self._optional(fields, name, parse_vector) for name in self._vectors},
        }

    def _value(self, fields: dict[str, Any], name: str) -> Any:
        for theirs in self.names.get(name, ()):
            value = fields.get(theirs)
            if value is None and "." in theirs:
                outer, _, inner = theirs.partition(".")
                nested = fields.get(outer)
                value = nested.get(inner) if isinstance(nested, dict) else None
            if value is not None and value != [] and value != "":
                return value
        return None

    def _text(self, fields: dict[str, Any], name: str) -> str | None:
        cleaned = clean_text(self._value(fields, name), self.config.max_text_chars)
        self.repairs.update(f"{name}_{flag}" for flag in cleaned.flags)
        return cleaned.text

    def _optional(self, fields: dict[str, Any], name: str, parse: Callable[[Any], Any]) -> Any:
        value = self._value(fields, name)
        read = parse(value)
        if read is None and not missing(value):
            self.repairs[f"{name}_unreadable"] += 1
        return read

    def _categories(self, fields: dict[str, Any]) -> list[str] | None:
        value = self._value(fields, C.CATEGORIES)
        flat = _flat(value.split("|") if isinstance(value, str) and self.config.source == "table" else value)
        texts = (clean_text(part, self.config.max_text_chars).text for part in flat)
        return list(dict.fromkeys(text for text in texts if text)) or None


def _flat(value: Any) -> list[Any]:
    """Amazon's 2014 categories are lists of paths."""
    if isinstance(value, (list, tuple)):
        return [leaf for part in value for leaf in _flat(part)]
    return [] if missing(value) else [value]
