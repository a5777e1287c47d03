"""Records become rows of the tables `events`, `users` and `relations`, or are refused with a reason."""

import re
from typing import Any

from llmrec.config.data.corpus import CorpusConfig
from llmrec.corpus.passes.rows import Row, RowParser
from llmrec.corpus.readers.form import Format
from llmrec.corpus.values.errors import RowError, missing, show
from llmrec.corpus.values.ids import parse_label
from llmrec.corpus.values.numbers import FLOAT32_MAX, number_of, written_number
from llmrec.schema import ATTRIBUTE_PREFIX, C, event_id, pair_hash

#: The kind of events that need no item.
SEARCH = "search"
_KIND = re.compile(r"[a-z][a-z0-9_]*")
_BETWEEN_WORDS = re.compile(r"[\s\-./:]+")


def kind_name(label: str) -> str:
    """A kind of events as it is called here: small letters, `_` between words."""
    return _BETWEEN_WORDS.sub("_", label.lower())


class EventParser(RowParser):
    """Reads rows of files of events, of users or of relations."""

    def __init__(self, config: CorpusConfig, kind: str, form: Format) -> None:
        super().__init__(config, kind, form)
        self._attributes = [f"{ATTRIBUTE_PREFIX}{name}" for name in config.user_attributes]
        self.parse = {"events": self._event, "users": self._user, "relations": self._relation}[kind]

    def _event(self, fields: dict[str, Any]) -> Row:
        kind = self._needed(fields, C.KIND, self._kind)
        user = self._needed(fields, C.USER_ID, self._id)
        optional = kind == SEARCH and missing(self._find[C.ITEM_ID](fields))
        item = None if optional else self._needed(fields, C.ITEM_ID, self._id)
        timestamp = self._needed(fields, C.TIMESTAMP, self._time)
        said = {
            C.VALUE: self._optional(fields, C.VALUE, self._number),
            C.SESSION: self._optional(fields, C.SESSION, parse_label),
            C.TEXT: self._text(fields, C.TEXT),
        }
        own = self._optional(fields, C.EVENT_ID, lambda value: self._id(value, C.EVENT_ID))
        return {
            C.EVENT_ID: own or event_id(user, item, timestamp, kind, *said.values()),
            C.USER_ID: user,
            C.ITEM_ID: item,
            C.TIMESTAMP: timestamp,
            C.EVENT_ORDER: pair_hash(user, item or ""),
            C.KIND: kind,
            **said,
        }

    def _kind(self, value: Any, _: str) -> str:
        """The kind as it is called here: mapped, else in small letters with _ between words."""
        label = parse_label(value)
        if label is None or not label:
            if self.config.event_kind:
                return self.config.event_kind
            raise RowError("missing_kind", f"found {show(value)}, expected what the user did; or set corpus.event_kind")
        kinds = self.config.event_kinds
        kind = kinds.get(label) or kind_name(label)
        if not _KIND.fullmatch(kind):
            raise RowError(
                "bad_kind", f"found {show(value)}, expected letters; say what it means in corpus.event_kinds"
            )
        return kind

    def _number(self, value: Any) -> float | None:
        found = number_of(value)
        if found is None and isinstance(value, str):
            found = written_number(value, self.form.decimal)
        return None if found is None or not abs(found) <= FLOAT32_MAX else float(found)

    def _user(self, fields: dict[str, Any]) -> Row:
        labels = {name: self._optional(fields, name, parse_label) for name in self._attributes}
        return {C.USER_ID: self._needed(fields, C.USER_ID, self._id), **labels}

    def _relation(self, fields: dict[str, Any]) -> Row:
        """An unreadable time costs the row: without a time a relation holds from the beginning."""
        follower, followed = (self._needed(fields, name, self._id) for name in (C.FOLLOWER_ID, C.FOLLOWED_ID))
        if follower == followed:
            raise RowError("self_relation", f"found {show(follower)} twice, expected somebody who follows another")
        find = self._find[C.SINCE]
        dated = not missing(find(fields))
        return {
            C.FOLLOWER_ID: follower,
            C.FOLLOWED_ID: followed,
            C.SINCE: self._needed(fields, C.SINCE, self._time) if dated else None,
        }


def parser_of(config: CorpusConfig, kind: str, form: Format) -> RowParser:
    """What reads rows of a kind of files, written as `form` says."""
    return RowParser(config, kind, form) if kind in ("reviews", "items") else EventParser(config, kind, form)
