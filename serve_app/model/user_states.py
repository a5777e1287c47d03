"""Who asks, as a state that the models read, and what the answer will rest on."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from llmrec.features.asof.history import History
from llmrec.features.asof.history_data import attribute_hash
from llmrec.features.asof.state import UserState
from llmrec.features.asof.supposed import with_recent
from llmrec.models.base import Ints
from llmrec.reading.served import ServedReader
from llmrec.recommender import Recommender
from llmrec.schema import CONTEXT_PREFIX
from serve_app.messages import Provenance, RequestUser, Understood, basis_of


@dataclass(frozen=True)
class UserStates:
    """Of the bundle `version`. `reads_text`: whether a newcomer's words say something to its models."""

    version: str
    recommender: Recommender
    reads_text: bool
    reader: ServedReader | None

    @property
    def history(self) -> History:
        return self.recommender.history

    def of(
        self, user: RequestUser, at: int, also: list[str] | None = None, heard: bool = True
    ) -> tuple[UserState, Provenance]:
        """What is known of the user at a time (ms), and what that rests on.

        `also`: more ids that may be unknown; `heard`: whether the words, if there are any, say something.
        """
        history = self.history
        unknown = self._unknown([*user.liked, *user.recent, *user.disliked, *filter(None, [user.like]),
                                 *(also or ()), *(user.only.allow or ())])  # fmt: skip
        understood = Understood(self._context(user.context), self._known(user.recent), (), self._known(user.disliked),
                                like=user.like if user.like not in unknown else None)  # fmt: skip
        asked = history.request_contexts(user.context)
        known, recent = self.recommender.user(user.user_id or "", at, asked), self._rows(user.recent)
        if known.count[0] > 0:
            basis = basis_of("history", *["recent_items"] * bool(len(recent)))
            state = with_recent(history, known, recent) if len(recent) else known
            return state, Provenance(self.version, at, basis, unknown=unknown, understood=understood)
        liked = self._rows(user.liked)
        understood = replace(understood, liked_items=self._known(user.liked))
        spoken = user.vector is not None and heard and self.reads_text and bool(np.any(user.vector))
        if not spoken and not len(liked) and not len(recent):
            return known, Provenance(self.version, at, "popularity", _why_nothing(user), unknown, understood)
        basis = basis_of(*["recent_items"] * bool(len(recent)), *["text"] * spoken, *["liked_items"] * bool(len(liked)))
        had = np.concatenate([liked, recent])
        guest = history.cold_start_state(had, user.vector if spoken else None, at, asked, self._read(user))
        return guest, Provenance(self.version, at, basis, unknown=unknown, understood=understood)

    def _rows(self, ids: tuple[str, ...]) -> Ints:
        """Rows of the ids that are known, each once, at its last place."""
        rows = self.history.item_rows(self._known(ids))
        return np.array(list(dict.fromkeys(rows[::-1].tolist()))[::-1], np.int64)

    def _known(self, ids: tuple[str, ...]) -> tuple[str, ...]:
        rows = self.history.item_rows(list(ids)) if ids else ()
        return tuple(i for i, row in zip(ids, rows, strict=True) if row)

    def _context(self, values: Mapping[str, str]) -> dict[str, str]:
        """What of a request's context some event had."""
        data = self.history.data
        columns = {column.removeprefix(CONTEXT_PREFIX): column for column in data.context_columns}
        return {name: value for name, value in values.items()
                if name in columns and attribute_hash(columns[name], value) in data.context_names}  # fmt: skip

    def _read(self, user: RequestUser) -> npt.NDArray[np.float32] | None:
        """What was read in the user's words, unless another bundle's reader did."""
        if user.words is None or self.reader is None or user.words.reader != self.reader.fingerprint:
            return None
        return user.words.row

    def _unknown(self, ids: list[str]) -> tuple[str, ...]:
        rows = self.history.item_rows(ids) if ids else ()
        return tuple(dict.fromkeys(i for i, row in zip(ids, rows, strict=True) if row == 0))


def _why_nothing(user: RequestUser) -> str:
    if user.vector is not None:
        return "bundle_without_text"
    if user.user_id is not None:
        return "unknown_user"
    if user.liked or user.recent or user.like:
        return "unknown_liked_items"
    return "nothing_given"
