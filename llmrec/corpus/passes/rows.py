"""Records become rows of the `reviews` and `items` tables, or are refused with a reason."""

from collections import Counter
from collections.abc import Callable
from typing import Any

from llmrec.config.data.corpus import CorpusConfig
from llmrec.corpus.formats.names import names_of
from llmrec.corpus.passes.lookup import Lookup, finder
from llmrec.corpus.readers.form import Format
from llmrec.corpus.values.clean import clean_text
from llmrec.corpus.values.errors import RowError, Unreadable, missing, show
from llmrec.corpus.values.ids import parse_flag, parse_id, parse_label
from llmrec.corpus.values.lists import labels
from llmrec.corpus.values.numbers import parse_price, parse_vector
from llmrec.corpus.values.stars import StarScale, parse_stars
from llmrec.corpus.values.times import parse_date, parse_timestamp
from llmrec.schema import CONTEXT_PREFIX, VECTOR_PREFIX, C, pair_hash, review_id

Row = dict[str, Any]
_NO_WORDS = frozenset(("nan", "NaN", "NULL", "null", "<NA>", "\\N"))  # of a text; "None" may be what somebody wrote


class RowParser:
    """Reads the rows of one kind of file ("reviews" or "items"), written as `form` says.

    `repairs` counts what was cleaned or left out of rows that were kept; an optional value never costs its row.
    """

    def __init__(self, config: CorpusConfig, kind: str, form: Format) -> None:
        self.config, self.form, self.repairs = config, form, Counter[str]()
        names = names_of(config, kind)
        self._find: dict[str, Lookup] = {ours: finder(theirs) for ours, theirs in names.items()}
        self._shown = {ours: " or ".join(map(str, theirs)) for ours, theirs in names.items()}
        self._contexts = [f"{CONTEXT_PREFIX}{name}" for name in config.context_columns]
        self._vectors = [f"{VECTOR_PREFIX}{name}" for name in config.item_vectors]
        self._nothing = frozenset(word.lower() for word in config.missing)
        unrated = {v.lower() if isinstance(v, str) else v for v in config.not_rated}
        self._scale = StarScale(config.stars_min, config.stars_max, frozenset(unrated | self._nothing))
        self.parse: Callable[[dict[str, Any]], Row] = self._review if kind == "reviews" else self._item

    def _review(self, fields: dict[str, Any]) -> Row:
        """The row of a record's `fields`; raises RowError where it cannot be used."""
        user = self._needed(fields, C.USER_ID, self._id)
        item = self._needed(fields, C.ITEM_ID, self._id)
        timestamp = self._needed(fields, C.TIMESTAMP, self._time)
        own_id = self._find[C.REVIEW_ID](fields) if C.REVIEW_ID in self._find else None
        if own_id is not None:
            own_id = self._optional(fields, C.REVIEW_ID, lambda value: self._id(value, C.REVIEW_ID))
        row = {
            C.REVIEW_ID: own_id or review_id(user, item, timestamp),
            C.USER_ID: user,
            C.ITEM_ID: item,
            C.TIMESTAMP: timestamp,
            C.EVENT_ORDER: pair_hash(user, item),
            C.STARS: self._optional(fields, C.STARS, self._stars),
            C.TITLE: self._text(fields, C.TITLE),
            C.TEXT: self._text(fields, C.TEXT),
        }
        for name in self._contexts:
            row[name] = self._optional(fields, name, parse_label)
        return row

    def _item(self, fields: dict[str, Any]) -> Row:
        description = [self._text(fields, C.DESCRIPTION), self._text(fields, "features")]
        return {
            C.ITEM_ID: self._needed(fields, C.ITEM_ID, self._id),
            C.TITLE: self._word(fields, C.TITLE),
            C.DESCRIPTION: "\n".join(part for part in description if part) or None,
            C.BRAND: self._word(fields, C.BRAND),
            C.PRICE: self._optional(fields, C.PRICE, lambda value: parse_price(value, self.form.decimal)),
            C.CATEGORIES: self._optional(fields, C.CATEGORIES, self._categories),
            C.AVAILABLE_FROM: self._optional(fields, C.AVAILABLE_FROM, lambda v: parse_date(v, self.form.dates)),
            C.AVAILABLE_UNTIL: self._until(fields),
            **{name: self._optional(fields, name, parse_vector) for name in self._vectors},
        }

    def _until(self, fields: dict[str, Any]) -> int | None:
        """When the item ends; 0 where `available` says that it is over."""
        until = self._optional(fields, C.AVAILABLE_UNTIL, lambda value: parse_date(value, self.form.dates))
        return 0 if self._optional(fields, "available", parse_flag) is False else until

    def _needed(self, fields: dict[str, Any], name: str, parse: Callable[[Any, str], Any]) -> Any:
        value = None
        try:
            value = self._find[name](fields)
            return parse(value, name)
        except RowError as error:
            error.detail = f"column {self._shown[name]}: {error.detail}"
            raise
        except Exception as error:  # whatever it is, it is one row's
            why = f"column {self._shown[name]}: found {show(value)}: {type(error).__name__}: {error}"
            raise RowError(f"bad_{name}", why[:500]) from None

    def _id(self, value: Any, name: str) -> str:
        return parse_id(value, name, self._nothing)

    def _time(self, value: Any, _: str) -> int:
        return parse_timestamp(value, self.form.dates)

    def _stars(self, value: Any) -> float | None:
        stars = parse_stars(value, self._scale)
        if stars is None:
            self.repairs["stars_not_rated"] += 1
        return stars

    def _optional(self, fields: dict[str, Any], name: str, parse: Callable[[Any], Any]) -> Any:
        """An optional value, or None; what was there and could not be read is counted by its reason."""
        find = self._find.get(name)
        value = None if find is None else find(fields)
        if value is None or (type(value) is str and (not value or self._is_nothing(value))):
            return None
        try:
            read = parse(value)
            if read is None and not missing(value) and name != C.STARS:
                self.repairs[f"{name}_unreadable"] += 1
            return read
        except RowError as error:
            self.repairs[error.reason if error.reason.startswith(name) else f"{name}_unreadable"] += 1
        except Exception:
            self.repairs[f"{name}_unreadable"] += 1
        return None

    def _is_nothing(self, value: str) -> bool:
        return len(value) <= 5 and value.strip().lower() in self._nothing

    def _text(self, fields: dict[str, Any], name: str) -> str | None:
        find = self._find.get(name)
        value = None if find is None else find(fields)
        if value is None:
            return None
        try:
            if isinstance(value, Unreadable) or (type(value) is str and len(value) <= 4 and value in _NO_WORDS):
                self.repairs[f"{name}_unreadable" if isinstance(value, Unreadable) else f"{name}_nothing"] += 1
                return None
            cleaned = clean_text(value, self.config.max_text_chars, self.config.normalise_text)
        except Exception:
            self.repairs[f"{name}_unreadable"] += 1
            return None
        if cleaned.changed:
            self.repairs.update(f"{name}_{flag}" for flag in cleaned.flags)
        return cleaned.text

    def _word(self, fields: dict[str, Any], name: str) -> str | None:
        """A short text in which a word such as "null" stands for nothing."""
        text = self._text(fields, name)
        if text is not None and self._is_nothing(text):
            self.repairs[f"{name}_nothing"] += 1
            return None
        return text

    def _categories(self, value: Any) -> list[str] | None:
        found = labels(value, self.form.list_separator)
        if found is None:
            return None
        texts = (clean_text(part, self.config.max_text_chars, self.config.normalise_text).text for part in found)
        return list(dict.fromkeys(text for text in texts if text and not self._is_nothing(text))) or None
