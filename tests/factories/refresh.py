"""A served bundle and a server's log beside it, in this process: no cluster, and the small world's encoder."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from factories.features import DIM, encode

from llmrec import bundle, corpus, features, registry, training
from llmrec.config import RunConfig, SampleConfig
from llmrec.corpus.sample import sample_table
from llmrec.encoding import item_text, review_text
from llmrec.encoding.store.embedding_store import EmbeddingStore
from llmrec.encoding.store.keys import text_keys
from llmrec.exposures.paths import events_path
from llmrec.live.event_log import EventLog, Fact, open_event_log
from llmrec.schema import TEXT_KEYS, C
from llmrec.storage import Artifact, Storage, artifact_id

NAME, ENCODER = "fresh", "f"
TRAINING: dict[str, Any] = {
    "workers": 0,
    "retrievers": {"two_tower": {"dim": 8, "hidden": (), "epochs": 3, "batch_size": 64, "sampled_negatives": 32}},
    "ranker": {"name": "dcnv2", "embedding_dim": 4, "hidden": (8,), "epochs": 2},
}


def stub_encode(config: RunConfig, storage: Storage, rows: Artifact) -> Artifact:
    """The stage `encode` with the small world's encoder: what the store does not hold is put there."""
    made = artifact_id("llmrec.encoding.stage", {}, {"corpus": rows.id})
    if (found := storage.find("embeddings", made)) is not None:
        return found
    texts = [("review", r[C.REVIEW_ID], review_text(r[C.TITLE], r[C.TEXT])) for r in rows.table("reviews").to_pylist()]
    texts += [("item", i[C.ITEM_ID], item_text(i[C.TITLE], i[C.BRAND], i[C.CATEGORIES] or [], i[C.DESCRIPTION]))
              for i in rows.table("items").to_pylist()]  # fmt: skip
    keys = text_keys(ENCODER, [text for *_, text in texts])
    known = {key: text for key, (*_, text) in zip(keys, texts, strict=True) if key is not None}
    none = np.zeros(len(known), np.int32)
    EmbeddingStore(storage.root, ENCODER).put(list(known), encode(list(known.values()), DIM), none, none)
    with storage.build("embeddings", made, module="llmrec.encoding.stage", config={}, parents={}) as writer:
        columns = [[kind for kind, *_ in texts], [name for _, name, _ in texts], keys]
        writer.write_table("text_keys", pa.table([pa.array(c, pa.string()) for c in columns], schema=TEXT_KEYS))
        writer.info |= {"sequence_items": 0, "fingerprint": ENCODER, "storage_dtype": "float32", "dim": DIM}
        writer.info["encoder"] = config.encoding.encoder.model_dump(mode="json")
    found = storage.find("embeddings", made)
    assert found is not None
    return found


@dataclass
class Served:
    """A run of which a bundle serves, made of all before the last events of a corpus; these are `later`."""

    config: RunConfig
    storage: Storage
    bundle: Artifact
    later: list[dict[str, Any]]
    log: EventLog
    doings: list[dict[str, Any]] = field(default_factory=list)  # what happened besides since then

    def send(self, rows: list[dict[str, Any]], name: str = "e") -> None:
        """Log them as POST /v1/events does, their words with vectors."""
        facts = [self.event(f"{name}{n}", r[C.USER_ID], r[C.ITEM_ID], r[C.TIMESTAMP], r[C.STARS], r[C.TEXT])
                 for n, r in enumerate(rows)]  # fmt: skip
        first = self.log.last() + 1
        self.log.append([facts])
        spoken = [(first + n, r[C.TEXT]) for n, r in enumerate(rows) if r[C.TEXT]]
        self.log.speak(ENCODER, zip([n for n, _ in spoken], encode([t for _, t in spoken], DIM), strict=True))

    def do(self) -> None:
        """Log `doings` as POST /v1/events does, and that somebody follows another."""
        facts = list[Fact]()
        for r in self.doings:
            said = {"kind": r[C.KIND], "user": r[C.USER_ID], "item": r[C.ITEM_ID], "value": r[C.VALUE],
                    "session": r[C.SESSION], "text": r[C.TEXT]}  # fmt: skip
            facts.append(Fact("event", r[C.EVENT_ID], said, said | {"time": r[C.TIMESTAMP]}))
        pair = {"user": self.doings[0][C.USER_ID], "followed": "a new user"}
        facts.append(Fact("follow", "pair", pair, pair | {"time": self.doings[0][C.TIMESTAMP]}))
        self.log.append([facts])

    @staticmethod
    def event(name: str, user: str, item: str, time: int, stars: float | None = 5, words: str | None = None) -> Fact:
        said = {"user": user, "item": item, "stars": stars, "words": words or None}
        return Fact("event", name, said, said | {"time": time})


def make_served(root: Path, later: int = 140, n_reviews: int = 500, eventful: bool = False, **refresh: Any) -> Served:
    """Without the registry's name being taken before. `eventful`: with events, relations, and purchases as outcome."""
    sample = SampleConfig(n_users=60, n_items=40, n_reviews=n_reviews, seed=3, events=eventful, people=eventful)
    reviews = sample_table(sample, "reviews").sort_by(C.TIMESTAMP)
    first = reviews.slice(0, n_reviews - later)
    pq.write_table(first, root / "reviews.parquet")
    items = sample_table(sample, "items")
    pq.write_table(items.filter(pc.is_in(items[C.ITEM_ID], first[C.ITEM_ID].combine_chunks())), root / "items.parquet")
    known = set(first[C.ITEM_ID].to_pylist())
    besides, doings = _besides(root, sample, first[C.TIMESTAMP][-1].as_py(), known) if eventful else ({}, [])
    config = RunConfig.model_validate({
        "name": NAME, "storage": str(root), "training": TRAINING,
        "corpus": {"source": "table", "reviews": f"{root}/reviews.parquet", "items": f"{root}/items.parquet",
                   "sanity": {"protocols": "warn"}, **besides},
        "features": {"text_dim": 6, "history_length": 5}, "serving": {"live": {"enabled": True}, "retrieve": 100},
        "refresh": {"least_events": 40, "epochs": 1, "tolerance": 10, "least_held": 1000} | refresh,
    })  # fmt: skip
    storage = Storage(str(root))
    rows = corpus.ingest(config, storage)
    vectors = stub_encode(config, storage, rows)
    folds = [features.featurize(config, storage, rows, vectors, fold) for fold in ("validation", "test")]
    models = training.train(config, storage, folds[0], folds[1], ("text",))["text"]
    made = bundle.assemble(config, storage, folds[1], models)
    registry.publish(storage, made, NAME)
    log = open_event_log(events_path(config, storage.root, NAME))
    kept = [row for row in reviews.slice(n_reviews - later).to_pylist() if row[C.ITEM_ID] in known]
    return Served(config, storage, made, kept, log, doings)


def _besides(root: Path, sample: SampleConfig, until: int, known: set[str]) -> tuple[dict[str, Any], list[Any]]:
    """The corpus's section of events up to a time (ms), their files written; and later ones of known items."""
    events = sample_table(sample, "events")
    early = pc.less_equal(events[C.TIMESTAMP], until)
    pq.write_table(events.filter(early), root / "events.parquet")
    pq.write_table(sample_table(sample, "relations"), root / "relations.parquet")
    files = {name: f"{root}/{name}.parquet" for name in ("events", "relations")}
    later = events.filter(pc.invert(early)).sort_by(C.TIMESTAMP).to_pylist()
    return files | {"outcome": "purchase"}, [e for e in later if e[C.ITEM_ID] is None or e[C.ITEM_ID] in known]
