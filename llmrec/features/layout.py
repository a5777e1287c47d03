"""From the artifacts to a laid-out fold: the tables in order of events, cut-offs, and the vectors' pieces."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

from llmrec.config import FeaturesConfig, SplitConfig
from llmrec.corpus.splits import cutoffs
from llmrec.encoding import EmbeddingStore, load_keys, open_store
from llmrec.features.asof import Ints
from llmrec.features.history import History
from llmrec.features.history_data import SEQUENCE, TEXT, HistoryData, ReducedVectors, event_sort
from llmrec.features.pieces import PIECE_ROWS, Piece, Texts, collect, one_thread, pieces_of_column
from llmrec.features.prepare import Fold, Places, Prepared, fit, learned_until
from llmrec.features.projection import Kind
from llmrec.features.reduction import Reductions
from llmrec.schema import CONTEXT_PREFIX, VECTOR_PREFIX
from llmrec.schema import Column as C
from llmrec.storage import Artifact, Storage

_REVIEWS = [C.REVIEW_ID, C.USER_ID, C.ITEM_ID, C.TIMESTAMP, C.EVENT_ORDER, C.STARS]
_ITEMS = [C.ITEM_ID, C.BRAND, C.PRICE, C.CATEGORIES, C.AVAILABLE_FROM]


@dataclass(frozen=True)
class Inputs:
    """What a fold is made from; `embeddings` is None where no text is asked for."""

    storage: Storage
    corpus: Artifact
    embeddings: Artifact | None
    settings: FeaturesConfig
    split: SplitConfig
    fold: Fold
    piece_rows: int = PIECE_ROWS

    @property
    def n_reviews(self) -> int:
        return int(self.corpus.dataset("reviews").count_rows())


@dataclass(frozen=True)
class Plan:
    """What the driver needs to know of a fold."""

    t1: int
    t2: int
    n_reviews: int  # that the fold covers
    dims: dict[str, int]  # of the vectors of each reduction, as they come
    pieces: list[Piece]

    def of(self, name: str, kind: Kind | None = None) -> list[Piece]:
        """The pieces of a reduction, of one kind or of both."""
        return [p for p in self.pieces if p.name == name and kind in (None, p.kind)]


@dataclass(frozen=True)
class Laid:
    """The tables of a fold without words and vectors, `reviews` in order of events."""

    reviews: pa.Table
    items: pa.Table
    plan: Plan


def lay_out(inputs: Inputs, folder: str) -> Laid:
    """Read the tables, sort the events, and lay the vectors' keys out in pieces below `folder`."""
    corpus = inputs.corpus
    contexts = [n for n in corpus.dataset("reviews").schema.names if n.startswith(CONTEXT_PREFIX)]
    columns = [n for n in corpus.dataset("items").schema.names if n.startswith(VECTOR_PREFIX)]
    reviews, items = corpus.table("reviews", _REVIEWS + contexts), corpus.table("items", _ITEMS)
    order = event_sort(reviews)
    in_order = reviews.take(order).combine_chunks()
    times = in_order[C.TIMESTAMP].to_numpy()
    cut = cutoffs(times, inputs.split)
    t1, t2 = math.ceil(cut.t1), math.ceil(cut.t2)  # the same rows lie before them: times are whole
    places = Places.of(in_order, items, learned_until(inputs.fold, t1, t2))
    pieces, dims = list[Piece](), dict[str, int]()
    if inputs.embeddings is not None and inputs.embeddings.manifest.info["dim"]:  # 0: nobody wrote a word
        ids = {"review": reviews[C.REVIEW_ID], "item": items[C.ITEM_ID]}
        pieces += _pieces_of_texts(inputs, ids, order, places, folder)
        dims |= dict.fromkeys((p.name for p in pieces), inputs.embeddings.manifest.info["dim"])
    uris = corpus.uris("items") or [corpus.uri("items.parquet")]
    for name in columns:
        found = pieces_of_column(name, uris, *places.among(name, "item"), folder)
        pieces, dims = pieces + found, dims | {p.name: p.width for p in found}
    covered = len(times) if inputs.fold == "test" else int((times < t2).sum())
    return Laid(in_order, items, Plan(t1, t2, covered, dims, pieces))


def _pieces_of_texts(inputs: Inputs, ids: dict[str, pa.ChunkedArray], order: Ints, places: Places,
                     folder: str) -> list[Piece]:  # fmt: skip
    """Pieces of reviews, items and, where they were encoded, sequences; ids are in the order of the files."""
    assert inputs.embeddings is not None
    store: EmbeddingStore = open_store(inputs.storage, inputs.embeddings)
    wanted: list[tuple[str, Kind, str]] = [(TEXT, "review", "review"), (TEXT, "item", "item")]
    if inputs.embeddings.manifest.info["sequence_items"]:
        wanted.append((SEQUENCE, "review", "sequence"))
    pieces = []
    for name, kind, texts in wanted:
        keys, known = load_keys(inputs.embeddings, texts, ids[kind])
        if kind == "review":
            keys, known = keys[order], known[order]
        stand, total = places.among(name, kind)
        pieces += Texts.of(keys, known, stand).laid_out(name, kind, total, store, folder, inputs.piece_rows)
    return pieces


def plan_of(laid: Laid) -> Plan:
    return laid.plan


def assemble(inputs: Inputs, laid: Laid, reductions: Reductions, folders: Sequence[str]) -> Prepared:
    """Put the history together, draw negatives, fit the spec; save both to `folders` (history, spec)."""
    plan, n_items = laid.plan, laid.items.num_rows
    text = reductions[TEXT].dim if TEXT in reductions else 0
    sequence = reductions[SEQUENCE].dim if SEQUENCE in reductions else 0
    vectors = ReducedVectors(
        reviews=collect(plan.of(TEXT, "review"), laid.reviews.num_rows, text + 1),
        sequences=collect(plan.of(SEQUENCE), laid.reviews.num_rows, sequence),
        items=collect(plan.of(TEXT, "item"), n_items, text),
        columns={
            name: collect(plan.of(name), n_items, made.dim)
            for name, made in reductions.items()
            if name.startswith(VECTOR_PREFIX)
        },
    )
    with one_thread():
        data = HistoryData.of_tables(laid.reviews, laid.items, vectors, reductions, inputs.settings)
        data.save(folders[0])
        prepared = fit(History(data), laid.reviews[C.REVIEW_ID], inputs.fold, plan.t1, plan.t2)
    prepared.spec.save(folders[1])
    return prepared
