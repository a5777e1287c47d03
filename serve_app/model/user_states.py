"""Who asks, as a state that the models read, and what the answer will rest on."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from llmrec.features.asof.history import History
from llmrec.features.asof.state import UserState
from llmrec.reading.served import ServedReader
from llmrec.recommender import Recommender
from serve_app.messages import Basis, Provenance, RequestUser


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
        unknown = self._unknown([*user.liked, *(also or ()), *(user.only.allow or ())])
        asked = self.history.request_contexts(user.context)
        known = self.recommender.user(user.user_id or "", at, asked)
        if known.count[0] > 0:
            return known, Provenance(self.version, at, "history", unknown=unknown)
        liked = self.history.item_rows(list(user.liked))
        liked = liked[liked > 0]
        spoken = user.vector is not None and heard and self.reads_text and bool(np.any(user.vector))
        if not spoken and not len(liked):
            return known, Provenance(self.version, at, "popularity", _why_nothing(user), unknown)
        basis: Basis = "text_and_liked_items" if spoken and len(liked) else "text" if spoken else "liked_items"
        guest = self.history.cold_start_state(liked, user.vector if spoken else None, at, asked, self._read(user))
        return guest, Provenance(self.version, at, basis, unknown=unknown)

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
    return "unknown_liked_items" if user.liked else "nothing_given"
