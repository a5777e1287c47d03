"""What an encoder may learn from: the reviews before the cut-off, in order of time, and the items in them."""

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from llmrec.config import EncoderConfig, SplitConfig
from llmrec.corpus.splits import cutoffs
from llmrec.encoding.texts.corpus_texts import ids_and_texts, prompted_texts
from llmrec.schema import Column as C
from llmrec.storage import Artifact

Ints = npt.NDArray[np.int64]
#: Until where an encoder may learn: that of both folds, or that of fold `test` alone.
Cut = Literal["t1", "t2"]
_REVIEW = [C.USER_ID, C.ITEM_ID, C.TIMESTAMP, C.EVENT_ORDER, C.STARS, C.REVIEW_ID, C.TITLE, C.TEXT]
_ITEM = [C.ITEM_ID, C.TITLE, C.BRAND, C.CATEGORIES, C.DESCRIPTION]


@dataclass(frozen=True)
class TuningTexts:
    """R reviews in order of time, then the texts of their I items: text R + i is item i's. "" where there is none."""

    user: Ints  # (R,) from 0
    item: Ints  # (R,) from 0
    time: Ints  # (R,) ms, all below `cut`
    stars: npt.NDArray[np.float64]  # (R,) NaN where there are none
    liked: npt.NDArray[np.bool_]  # (R,) a review without stars is one
    texts: list[str]  # (R + I,) as they are encoded: behind the document prompt
    n_items: int
    cut: int  # ms

    @property
    def n_reviews(self) -> int:
        return len(self.user)


def read_texts(
    corpus: Artifact, split: SplitConfig, encoder: EncoderConfig, max_events: int, before: Cut = "t1"
) -> TuningTexts:
    """The latest `max_events` reviews strictly before T1, or T2, and the items that they are of; of nothing later.

    Raises ValueError where there are none.
    """
    times = corpus.table("reviews", [C.TIMESTAMP]).column(C.TIMESTAMP).to_numpy()
    # a whole millisecond, so that the encoder's folder can say it
    return read_before(corpus, math.floor(getattr(cutoffs(times, split), before)), encoder, max_events)


def read_before(corpus: Artifact, cut: int, encoder: EncoderConfig, max_events: int) -> TuningTexts:
    """`read_texts` before any moment (ms)."""
    reviews = corpus.dataset("reviews").to_table(columns=_REVIEW, filter=pc.field(C.TIMESTAMP) < cut)
    if not len(reviews):
        raise ValueError(f"tuning: found no review before {cut} ms, expected some; move split.validation_quantile")
    reviews = reviews.sort_by([(C.TIMESTAMP, "ascending"), (C.EVENT_ORDER, "ascending")])
    reviews = reviews.slice(max(0, len(reviews) - max_events))
    users, items = (pc.dictionary_encode(reviews[c].combine_chunks()) for c in (C.USER_ID, C.ITEM_ID))
    described = _item_texts(corpus, items.dictionary)
    stars = reviews[C.STARS].to_numpy().astype(np.float64)
    liked_from = corpus.manifest.info.get("scale", {}).get("liked_from", 4)
    own = ids_and_texts("review", reviews.select([C.REVIEW_ID, C.TITLE, C.TEXT]).to_pylist())[1]
    return TuningTexts(
        user=users.indices.to_numpy().astype(np.int64), item=items.indices.to_numpy().astype(np.int64),
        time=reviews[C.TIMESTAMP].to_numpy().astype(np.int64), stars=stars,
        liked=np.isnan(stars) | (stars >= liked_from), texts=prompted_texts(encoder, [*own, *described]),
        n_items=len(items.dictionary), cut=cut,
    )  # fmt: skip


def _item_texts(corpus: Artifact, ids: pa.Array) -> list[str]:
    """The texts of items, in order of `ids`."""
    found = corpus.dataset("items").to_table(columns=_ITEM, filter=pc.field(C.ITEM_ID).isin(ids))
    texts: dict[str, Any] = dict(zip(*ids_and_texts("item", found.to_pylist()), strict=True))
    return [texts.get(item, "") for item in ids.to_pylist()]
