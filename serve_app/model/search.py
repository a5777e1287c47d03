"""A served bundle's answer to words."""

from dataclasses import replace
from typing import Literal

import numpy as np

from llmrec.features.arrays import Floats32, Ints
from llmrec.search import Asked, Matches, SearchIndex
from llmrec.search.index import reciprocal_ranks
from serve_app.messages import NOTHING_MATCHED, FoundItem, FoundItems, Provenance, RequestUser, Wish
from serve_app.model.served import ServedModel, while_items_stay

#: Matches that a user's taste may order, and what its list weighs: as much as the vectors'.
_ORDERED, _TASTE = 100, 0.5


@while_items_stay
def search(model: ServedModel, user: RequestUser, time: int | None, k: int) -> FoundItems | None:
    """The `k` items that answer the user's wish best, what they had among them; None without a search index.

    Where nothing matches: what is popular, with basis `popularity` and the reason.
    """
    index, wish = model.bundle.search, user.wish or Wish("")
    if index is None:
        return None
    at = model.as_of if time is None else time
    matches = index.find(Asked(wish.text, wish.vector), model.allowed(user.only, at).held)
    if not matches:
        return _popular(model, index, user, time, k)
    rows, scores, basis = _ordered(model, user, at, matches, k)
    found = zip(rows.tolist(), scores.tolist(), strict=True)
    items = (_item(model, index, wish.text, matches, row, score) for row, score in found)
    return FoundItems(basis, tuple(items))


def _ordered(
    model: ServedModel, user: RequestUser, at: int, matches: Matches, k: int
) -> tuple[Ints, Floats32, Provenance]:
    """Rows (k,), scores (k,) and what they rest on: a known user's taste is one more list, of what matched best."""
    provenance = Provenance(model.version, at, "text")
    rows = matches.best(max(k, _ORDERED))
    scores = matches.relevance[rows]
    if user.user_id is not None:
        state = model.recommender.user(user.user_id, at, model.history.request_contexts({}))
        if state.count[0] > 0:
            taste = model.recommender.rank(state, rows, at).scores
            scores = scores + np.float32(_TASTE) * reciprocal_ranks(taste - taste.min() + 1)
            provenance = replace(provenance, basis="history_and_text")
        else:
            provenance = replace(provenance, reason="unknown_user")
    best = np.argsort(-scores, kind="stable")[:k]
    return rows[best], scores[best], provenance


def _item(model: ServedModel, index: SearchIndex, text: str, matches: Matches, row: int, score: float) -> FoundItem:
    lists: tuple[tuple[Literal["words", "vectors"], bool], ...] = (
        ("words", bool(matches.by_words[row])), ("vectors", bool(matches.by_vectors[row]))
    )  # fmt: skip
    matched = tuple(name for name, found in lists if found)
    return FoundItem(model.history.item_ids[row], score, index.texts.title(row), matched, index.highlights(row, text))


def _popular(model: ServedModel, index: SearchIndex, user: RequestUser, time: int | None, k: int) -> FoundItems:
    found = model.retrieve(RequestUser(only=user.only), (), time)
    reason = found.provenance.reason if found.provenance.reason == "no_item_allowed" else NOTHING_MATCHED
    rows = found.found.rows[0, :k]
    listed = zip(rows[rows > 0].tolist(), found.found.scores[0, :k].tolist(), strict=False)
    items = (FoundItem(model.history.item_ids[row], score, index.texts.title(row)) for row, score in listed)
    return FoundItems(replace(found.provenance, reason=reason), tuple(items))
