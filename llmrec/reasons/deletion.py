"""The deletion test of reasons: how far a score moves when a family's columns are those of the mean candidate."""

import numpy as np
import numpy.typing as npt

from llmrec.features.dataset.rows import Examples
from llmrec.models.attribution import with_dense
from llmrec.models.base import Ints
from llmrec.models.blenders.prior_correction import LOGIT
from llmrec.models.rankers.listwise.ranker import PRODUCTS
from llmrec.reasons.contributions import contributions
from llmrec.recommender import Recommender

#: What the list-wise ranker calls the products of its two profiles: without the item's nothing of them is left.
_COLUMNS_OF = {PRODUCTS: "text_item_profile"}


def moved_by_families(
    recommender: Recommender, user_row: int, rows: Ints, scores: npt.NDArray[np.floating], time: int, k: int
) -> tuple[list[dict[str, float]], list[str]]:
    """Of the first `k` items: family -> how far the whole model's score moves; and the family with the largest
    contribution. `rows` (N,) are the candidates of a known user, scored `scores`."""
    context = recommender.context
    user = recommender.user(context.history.user_ids[user_row], time, context.history.request_contexts({}))
    said = contributions(recommender, user, rows, time, scores)
    examples, _ = recommender.click_rows(user, rows, time)
    values, families = recommender.blend_columns(user, rows, time), [c.family for c in context.dense]
    k, before = min(k, len(rows)), recommender.score(values)
    named = [(n, t) for n, t in enumerate(said.terms) if _COLUMNS_OF.get(t, t) in families]
    moved = [dict[str, float]() for _ in range(k)]
    for _, term in named:
        places = np.flatnonzero([f == _COLUMNS_OF.get(term, term) for f in families])
        changed = values.copy()
        changed[:, recommender.columns.index(LOGIT)] = recommender.models.ranker.logits(_deleted(examples, places))
        without = recommender.score(changed)
        for place in range(k):
            moved[place][term] = float(without[place] - before[place])
    first = [max(named, key=lambda term: abs(said.values[place, term[0]]))[1] for place in range(k)]
    return moved, first


def _deleted(examples: Examples, places: Ints) -> Examples:
    """The rows, the columns `places` at their mean over the list."""
    dense = examples.dense
    dense[:, places] = dense[:, places].mean(axis=0, dtype=np.float64)
    return with_dense(examples, dense)
