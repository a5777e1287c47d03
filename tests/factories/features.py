"""A small world for the tests of the features room: events with ties, words as vectors, items with attributes."""

import hashlib
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pyarrow as pa

from llmrec.config import FeaturesConfig
from llmrec.encoding.keys import text_keys
from llmrec.encoding.sequences import sequence_texts
from llmrec.encoding.store import EmbeddingStore
from llmrec.features.asof.history_data import event_sort
from llmrec.features.dataset.folds import Fold, Prepared, prepare
from llmrec.schema import DAY_MS, TEXT_KEYS, event_order, items_schema, reviews_schema
from llmrec.schema import Column as C
from llmrec.storage import Artifact, Storage

DIM = 12
SEQUENCE_ITEMS = 3
DEVICE = "context_device"
#: The vector column of the small world's items; every fifth item has none.
IMAGE = "vector_image"
#: The epoch of the small world; its days are counted from here.
START = 1_400_000_000_000 // DAY_MS * DAY_MS


def encode(texts: list[str]) -> np.ndarray:
    """(n, DIM) float32 unit vectors: the sum of a random vector a word; zero for no words."""
    vectors = np.zeros((len(texts), DIM), np.float32)
    for row, text in enumerate(texts):
        for word in text.split():
            seed = int.from_bytes(hashlib.sha256(word.encode()).digest()[:4], "big")
            vectors[row] += np.random.default_rng(seed).normal(size=DIM)
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)


@dataclass(frozen=True)
class World:
    """Reviews as a list of rows, so that a test can change one; whole-day times, so that many tie."""

    reviews: list[dict[str, Any]]
    items: list[dict[str, Any]]
    settings: FeaturesConfig = field(
        default_factory=lambda: FeaturesConfig(
            text_dim=6,
            history_length=5,
            popularity_days=(7.0, 30.0),
            crosses=("polynomial", "hashed", "low_rank"),
            profile_last=3,
        )
    )

    @classmethod
    def random(cls, n_users: int = 25, n_items: int = 15, n_reviews: int = 240, seed: int = 0) -> "World":
        rng = np.random.default_rng(seed)
        pairs = rng.permutation(n_users * n_items)[:n_reviews]
        words = [f"word{k}" for k in range(40)]
        reviews = [
            {
                C.REVIEW_ID: f"r{pair}",
                C.USER_ID: f"u{pair // n_items:03d}",
                C.ITEM_ID: f"i{pair % n_items:03d}",
                C.TIMESTAMP: START + int(rng.integers(0, 90)) * DAY_MS,
                C.STARS: float(rng.integers(1, 6)),
                C.TITLE: None,
                DEVICE: (None, "mobile", "web", "web")[pair % 4],
                C.TEXT: " ".join(rng.choice(words, 4)) if rng.random() > 0.05 else "",
            }
            for pair in pairs.tolist()
        ]
        items = [
            {
                C.ITEM_ID: f"i{k:03d}",
                C.TITLE: f"word{k} word{k + 1}",
                C.DESCRIPTION: None,
                C.BRAND: f"brand{k % 3}",
                C.PRICE: float(rng.integers(5, 100)) if k % 4 else None,
                C.CATEGORIES: [f"cat{k % 2}", f"cat{k % 5}"],
                C.AVAILABLE_FROM: START + 20 * DAY_MS if k % 6 == 0 else None,
                IMAGE: np.random.default_rng([seed, k]).normal(size=8).tolist() if k % 5 else None,
            }
            for k in range(n_items)
        ]
        return cls(reviews, items)

    def changed(self, review_id: str, **values: Any) -> "World":
        """With other values in one review; a changed id or time keeps the review's name."""
        rows = [r | values if r[C.REVIEW_ID] == review_id else r for r in self.reviews]
        return replace(self, reviews=rows)

    def without(self, review_id: str) -> "World":
        return replace(self, reviews=[r for r in self.reviews if r[C.REVIEW_ID] != review_id])

    def of(self, review_id: str) -> dict[str, Any]:
        return next(r for r in self.reviews if r[C.REVIEW_ID] == review_id)

    def tables(self) -> tuple[pa.Table, pa.Table, np.ndarray, np.ndarray, np.ndarray]:
        """reviews and items by schema.py in order of events, their vectors, and those of the sequences."""
        order = event_order([r[C.USER_ID] for r in self.reviews], [r[C.ITEM_ID] for r in self.reviews])
        rows = [r | {C.EVENT_ORDER: int(o)} for r, o in zip(self.reviews, order, strict=True)]
        reviews = pa.Table.from_pylist(rows, schema=reviews_schema(["device"]))
        reviews = reviews.take(event_sort(reviews)).combine_chunks()
        items = pa.Table.from_pylist(self.items, schema=items_schema(["image"]))
        vectors = encode(reviews[C.TEXT].to_pylist()), encode(items[C.TITLE].to_pylist())
        return reviews, items, *vectors, encode(self.sequences(reviews))

    def sequences(self, reviews: pa.Table) -> list[str]:
        """The text of what each review's user had by then."""
        titles = {i[C.ITEM_ID]: i[C.TITLE] for i in self.items}
        shown = [titles.get(i) for i in reviews[C.ITEM_ID].to_pylist()]
        return sequence_texts(reviews[C.USER_ID].to_pylist(), shown, SEQUENCE_ITEMS)

    def stored(self, storage: Storage, parts: int = 1) -> tuple[Artifact, Artifact]:
        """The artifacts `corpus`, reviews dealt over `parts` files by user, and `embeddings`, with its store."""
        reviews, items, *_ = self.tables()
        dealt = np.array([int(u[1:]) % parts for u in reviews[C.USER_ID].to_pylist()])
        files = [reviews.filter(pa.array(dealt == part)) for part in range(parts)]
        with storage.build("corpus", "c", module="llmrec.corpus", config={}, parents={}) as writer:
            for number, part in enumerate(files):
                writer.write_table(f"reviews/{number}", part)
            writer.write_table("items", items)
        texts = [("review", r[C.REVIEW_ID], r[C.TEXT]) for file in files for r in file.to_pylist()]
        texts += [("item", i[C.ITEM_ID], i[C.TITLE]) for i in self.items]
        sequences = dict(zip(reviews[C.REVIEW_ID].to_pylist(), self.sequences(reviews), strict=True))
        texts += [("sequence", review, sequences[review]) for file in files for review in file[C.REVIEW_ID].to_pylist()]
        keys = text_keys("f", [text for *_, text in texts])
        store, known = EmbeddingStore(storage.root, "f"), dict(zip(keys, (t for *_, t in texts), strict=True))
        known.pop(None, None)
        none = np.zeros(len(known), np.int32)
        store.put(list(known), encode(list(known.values())), none, none)
        with storage.build("embeddings", "e", module="llmrec.encoding", config={}, parents={}) as writer:
            columns = [[kind for kind, *_ in texts], [name for _, name, _ in texts], keys]
            writer.write_table("text_keys", pa.table([pa.array(c, pa.string()) for c in columns], schema=TEXT_KEYS))
            writer.info |= {
                "sequence_items": SEQUENCE_ITEMS,
                "fingerprint": "f",
                "storage_dtype": "float32",
                "dim": DIM,
            }
        corpus, embeddings = storage.find("corpus", "c"), storage.find("embeddings", "e")
        assert corpus and embeddings
        return corpus, embeddings

    def prepare(self, fold: Fold = "test") -> Prepared:
        """The fold with T1 = day 50 and T2 = day 70."""
        t1, t2 = START + 50 * DAY_MS, START + 70 * DAY_MS
        return prepare(self.settings, *self.tables(), t1=t1, t2=t2, fold=fold)
