"""Pages of one list: a cursor says which bundle and moment it is as of, and which items were shown.

So no page repeats an item or leaves one out, whatever joined, went or was published meanwhile.
"""

import base64
import binascii
import hashlib
import json
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from llmrec.schema import id_hash
from serve_app.errors import ApiError
from serve_app.messages import RankedItems
from serve_app.schemas.answers import Problem
from serve_app.schemas.requests import RecommendRequest

_DIGEST = 12
Hashes = npt.NDArray[np.uint64]


@dataclass(frozen=True)
class Page:
    """Where a list goes on: `listed` (n,) hashes of the items before, of `bundle` as of `time` (ms; None: its own)."""

    bundle: str
    time: int | None
    listed: Hashes

    @classmethod
    def asked(cls, request: RecommendRequest, now: int | None) -> "Page | None":
        """The page that a request goes on with; None where it begins. Raises ApiError 409 for a cursor that is none."""
        if request.cursor is None:
            return None
        try:
            head, _, listed = base64.urlsafe_b64decode(request.cursor.encode("ascii")).partition(b"\n")
            bundle, time, digest = json.loads(head)
            hashes = np.frombuffer(listed, ">u8").astype(np.uint64)
        except (ValueError, TypeError, binascii.Error):  # UnicodeError and JSONDecodeError are ValueErrors
            raise _refused("cursor_unreadable", "expected `next` of an answer, as it was") from None
        if not isinstance(bundle, str) or not (time is None if now is None else type(time) is int and time <= now):
            raise _refused("cursor_unreadable", "expected `next` of an answer of this server, as it was")
        if digest != _digest(request):
            raise _refused("cursor_of_another_request", "expected the request that the cursor came from, but for `k`")
        return cls(bundle, time, hashes)


def next_cursor(request: RecommendRequest, found: RankedItems, time: int | None, page: Page | None) -> str:
    """What the page after `found` is asked for with."""
    shown = id_hash(found.item_ids) if page is None else np.concatenate([page.listed, id_hash(found.item_ids)])
    head = json.dumps([found.provenance.bundle, time, _digest(request)]).encode()
    return base64.urlsafe_b64encode(head + b"\n" + shown.astype(">u8").tobytes()).decode()


def _digest(request: RecommendRequest) -> str:
    """Of all that decides the order of the list."""
    said = request.model_dump(mode="json", exclude={"cursor", "k", "reasons", "without_text"})
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:_DIGEST]


def refuse_two_ways(request: RecommendRequest) -> None:
    """Raise ApiError 409 where slots are to be chosen in two ways at once."""
    if request.explore is not None and (request.diversity is not None or request.cursor is not None):
        said = "cannot stand beside diversity or cursor: its propensities are those of one list"
        raise ApiError(409, "either", f"explore {said}", (Problem(code="either", message=said, where="body.explore"),))


def _refused(code: str, message: str) -> ApiError:
    return ApiError(409, code, message, (Problem(code=code, message=message, where="body.cursor"),))
