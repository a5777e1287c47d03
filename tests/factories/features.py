"""A small world for the tests of the features room: events with ties, words as vectors, items with attributes."""

import hashlib
import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any
from unittest.mock import patch

import numpy as np
import pyarrow as pa

from llmrec.config import EncoderConfig, FeaturesConfig, SplitConfig
from llmrec.corpus.splits import Cutoffs
from llmrec.encoding.store.embedding_store import EmbeddingStore
from llmrec.encoding.store.keys import text_keys
from llmrec.encoding.texts.sequences import sequence_texts
from llmrec.features.asof.history import History
from llmrec.features.build import driver, ray_tasks
from llmrec.features.build import plan as planning
from llmrec.features.dataset.examples import Clicks
from llmrec.features.dataset.folds import Fold
from llmrec.features.dataset.spec import FeatureSpec
from llmrec.schema import (
    DAY_MS,
    EVENTS,
    RELATIONS,
    TEXT_KEYS,
    event_order,
    items_schema,
    reviews_schema,
    users_schema,
)  # fmt: skip
from llmrec.schema import Column as C
from llmrec.storage import Artifact, Storage

DIM = 12
SEQUENCE_ITEMS = 3
DEVICE = "context_device"
#: The vector column of the small world's items; every fifth item has none.
IMAGE = "vector_image"
#: The epoch of the small world; its days are counted from here.
START = 1_400_000_000_000 // DAY_MS * DAY_MS
T1, T2 = START + 50 * DAY_MS, START + 70 * DAY_MS
_FOLDERS = tempfile.TemporaryDirectory(prefix="llmrec-worlds-")  # gone at the end: histories map their files


def encode(texts: list[str], dim: int = DIM) -> np.ndarray:
    """(n, dim) float32 unit vectors: the sum of a random vector a word; zero for no words."""
    vectors = np.zeros((len(texts), dim), np.float32)
    for row, text in enumerate(texts):
        for word in text.split():
            vectors[row] += _of_word(word, dim)
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)


@cache
def _of_word(word: str, dim: int) -> np.ndarray:
    seed = int.from_bytes(hashlib.sha256(word.encode()).digest()[:4], "big")
    return np.random.default_rng(seed).normal(size=dim)


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
    dim: int = DIM  # of the encoder's vectors
    events: Sequence[dict[str, Any]] = ()  # user, item, time, kind, value; with or without an id
    users: Sequence[dict[str, Any]] = ()  # user, attribute_NAME
    relations: Sequence[dict[str, Any]] = ()
    outcome: str = "review"  # a kind of events, of which each is among the reviews too
    at_least: float | None = None  # their least value

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

    def tables(self) -> tuple[pa.Table, pa.Table]:
        """reviews and items by schema.py, in order of events."""
        order = event_order([r[C.USER_ID] for r in self.reviews], [r[C.ITEM_ID] for r in self.reviews])
        rows = [r | {C.EVENT_ORDER: int(o)} for r, o in zip(self.reviews, order, strict=True)]
        reviews = pa.Table.from_pylist(rows, schema=reviews_schema(["device"]))
        reviews = reviews.sort_by([(C.TIMESTAMP, "ascending"), (C.EVENT_ORDER, "ascending")]).combine_chunks()
        return reviews, pa.Table.from_pylist(self.items, schema=items_schema(["image"]))

    @classmethod
    def eventful(cls, outcome: str = "review", seed: int = 0, **settings: Any) -> "World":
        """The same with views, dwells and impressions by the hour, attributes and relations."""
        world, rng = cls.random(seed=seed), np.random.default_rng([seed, 1])
        kinds = ("view", "dwell", "impression", "search")
        events = [
            {
                C.USER_ID: f"u{rng.integers(27):03d}",
                C.ITEM_ID: None if kind == "search" else f"i{rng.integers(17):03d}",
                C.TIMESTAMP: START + int(rng.integers(0, 90 * 24)) * DAY_MS // 24,
                C.KIND: kind,
                C.VALUE: float(rng.integers(1, 60)) if kind == "dwell" else None,
            }
            for kind in rng.choice(kinds, 600).tolist()
        ]  # fmt: skip
        reviews = world.reviews
        if outcome != "review":
            asked = (C.USER_ID, C.ITEM_ID, C.TIMESTAMP)
            events += [{k: r[k] for k in asked} | {C.KIND: outcome, C.VALUE: None} for r in reviews]
        users = [{C.USER_ID: f"u{u:03d}", "attribute_age": f"band{u % 3}"} for u in range(0, 27, 2)]
        relations = [{C.FOLLOWER_ID: f"u{u:03d}", C.FOLLOWED_ID: f"u{(u * 7 + k) % 25:03d}",
                      C.SINCE: START + int(rng.integers(0, 60)) * DAY_MS if k else None}
                     for u in range(25) for k in range(3) if (u * 7 + k) % 25 != u]  # fmt: skip
        return replace(world, events=events, users=users, relations=relations, outcome=outcome,
                       settings=world.settings.model_copy(update=settings))  # fmt: skip

    def further_tables(self) -> dict[str, pa.Table]:
        """events, users and relations by schema.py, those that there are."""
        found = dict[str, pa.Table]()
        if self.events:
            order = event_order([e[C.USER_ID] for e in self.events], [e[C.ITEM_ID] or "" for e in self.events])
            rows = [{C.EVENT_ID: f"e{n}"} | e | {C.EVENT_ORDER: int(o)}
                    for n, (e, o) in enumerate(zip(self.events, order, strict=True))]  # fmt: skip
            found["events"] = pa.Table.from_pylist(rows, schema=EVENTS)
        if self.users:
            found["users"] = pa.Table.from_pylist(list(self.users), schema=users_schema(["age"]))
        if self.relations:
            found["relations"] = pa.Table.from_pylist(list(self.relations), schema=RELATIONS)
        return found

    def sequences(self, reviews: pa.Table) -> list[str]:
        """The text of what each review's user had by then."""
        titles = {i[C.ITEM_ID]: i[C.TITLE] for i in self.items}
        shown = [titles.get(i) for i in reviews[C.ITEM_ID].to_pylist()]
        return sequence_texts(reviews[C.USER_ID].to_pylist(), shown, SEQUENCE_ITEMS)

    def stored(self, storage: Storage, parts: int = 1) -> tuple[Artifact, Artifact]:
        """The artifacts `corpus`, reviews dealt over `parts` files by user, and `embeddings`, with its store."""
        corpus, files = self.stored_corpus(storage, parts)
        return corpus, self._stored_embeddings(storage, files)

    def stored_corpus(self, storage: Storage, parts: int = 1) -> tuple[Artifact, list[pa.Table]]:
        """The artifact `corpus`, and its files of reviews."""
        reviews, items = self.tables()
        dealt = np.array([int(u[1:] if u[1:].isdigit() else 0) % parts for u in reviews[C.USER_ID].to_pylist()])
        files = [reviews.filter(pa.array(dealt == part)) for part in range(parts)]
        with storage.build("corpus", "c", module="llmrec.corpus.stage", config={}, parents={}) as writer:
            for number, part in enumerate(files):
                writer.write_table(f"reviews/{number}", part)
            writer.write_table("items", items)
            for name, table in self.further_tables().items():
                writer.write_table(name, table)
            writer.info["outcome"] = {
                "kind": self.outcome,
                "at_least": self.at_least,
                "exclude_seen": self.settings.exclude_seen,
            }
        corpus = storage.find("corpus", "c")
        assert corpus is not None
        return corpus, files

    def _stored_embeddings(self, storage: Storage, files: list[pa.Table]) -> Artifact:
        reviews, _ = self.tables()
        texts = [("review", r[C.REVIEW_ID], r[C.TEXT]) for file in files for r in file.to_pylist()]
        texts += [("item", i[C.ITEM_ID], i[C.TITLE]) for i in self.items]
        sequences = dict(zip(reviews[C.REVIEW_ID].to_pylist(), self.sequences(reviews), strict=True))
        texts += [("sequence", review, sequences[review]) for file in files for review in file[C.REVIEW_ID].to_pylist()]
        keys = text_keys("f", [text for *_, text in texts])
        store, known = EmbeddingStore(storage.root, "f"), dict(zip(keys, (t for *_, t in texts), strict=True))
        known.pop(None, None)
        none = np.zeros(len(known), np.int32)
        store.put(list(known), encode(list(known.values()), self.dim), none, none)
        with storage.build("embeddings", "e", module="llmrec.encoding.stage", config={}, parents={}) as writer:
            columns = [[kind for kind, *_ in texts], [name for _, name, _ in texts], keys]
            writer.write_table("text_keys", pa.table([pa.array(c, pa.string()) for c in columns], schema=TEXT_KEYS))
            writer.info |= {
                "sequence_items": SEQUENCE_ITEMS,
                "fingerprint": "f",
                "storage_dtype": "float32",
                "dim": self.dim,
                "encoder": EncoderConfig(backend="hashing").model_dump(mode="json"),  # no prompt before a text
            }
        embeddings = storage.find("embeddings", "e")
        assert embeddings is not None
        return embeddings

    def prepare(
        self, fold: Fold = "test", fitted: "Prepared | None" = None, cut: tuple[int, int] = (T1, T2)
    ) -> "Prepared":
        """The fold as the stage makes it in one process, with T1 = day 50 and T2 = day 70 if not cut elsewhere.

        `fitted`: take what was learned from there, the spec and the reductions.
        """
        with patch.object(os, "fsync"), patch.object(planning, "cutoffs", lambda *_: Cutoffs(*cut)):
            return self._prepared(Storage(tempfile.mkdtemp(dir=_FOLDERS.name)), fold, fitted)

    def _prepared(self, storage: Storage, fold: Fold, fitted: "Prepared | None") -> "Prepared":
        folder, runner = storage.root, driver.TaskRunner(local=True)
        corpus, embeddings = self.stored(storage)
        inputs = planning.BuildInputs(storage, corpus, embeddings if self.settings.text else None, self.settings,
                                      SplitConfig(), fold, f"{folder}/history", f"{folder}/scratch")  # fmt: skip
        plan = planning.plan_build(inputs)
        reductions = fitted.history.reductions if fitted else driver.fit_reductions(runner, inputs, plan)
        driver.write_history(runner, inputs, plan, reductions)
        driver.draw_negatives(runner, inputs, plan)
        spec = fitted.spec if fitted else ray_tasks.fit_spec(inputs, plan, f"{folder}/spec")
        ids = {split: planning.review_ids(plan, *bounds) for split, bounds in plan.splits.items()}
        clicks = [replace(ray_tasks.clicks_of(inputs, plan, s), review_ids=ids[s]) for s in plan.splits]
        return Prepared(History.load(inputs.history), spec, clicks)


@dataclass(frozen=True)
class Prepared:
    """All that example rows are made from."""

    history: History
    spec: FeatureSpec
    clicks: list[Clicks]  # train, then the fold's other split


def by_event(history: History, name: str) -> np.ndarray:
    """(E, ...) what users' events gave, VECTORS or SEQUENCES, in order of events and in memory."""
    rows = history.users.rows[name]
    found = np.empty(rows.shape, np.float32)
    found[history.users.events.order] = rows.whole()
    return found
