"""One evaluation under way: its artifacts, opened once, and what is read from them."""

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from llmrec.bundle import Bundle, BundleFile
from llmrec.config import RunConfig
from llmrec.corpus.further import first_events, further_users
from llmrec.encoding import load_vectors
from llmrec.evaluation.ablation.refit import fit_variant, with_cut, with_seed
from llmrec.evaluation.progress import Progress
from llmrec.evaluation.ranking.our_models import Variant
from llmrec.features.asof.interactions import Interactions, Ints
from llmrec.features.asof.text_profiles import Vectors
from llmrec.models.base import ModelContext
from llmrec.schema import Column as C
from llmrec.storage import Artifact, ArtifactWriter, Storage

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class EvaluationRun:
    """`bundles` by variant, `controls` by name; `embeddings` None: no text."""

    config: RunConfig
    storage: Storage
    corpus: Artifact
    embeddings: Artifact | None
    bundles: Mapping[str, Artifact]
    writer: ArtifactWriter
    controls: Mapping[str, Artifact] = field(default_factory=dict)
    progress: Progress = logger.info
    tuned: Mapping[str, Artifact] = field(default_factory=dict)  # encoders by name, where any was tuned

    @cached_property
    def opened(self) -> dict[str, Bundle]:
        """The bundles, loaded, by variant."""
        return {variant: Bundle.load(bundle.root) for variant, bundle in self.bundles.items()}

    @cached_property
    def data(self) -> Interactions:
        """Every event: of a bundle's own history, whose rows all models share; of the corpus where there is none."""
        first = next(iter(self.opened.values()), None)
        return first.context.interactions if first else load_interactions(self.corpus)

    @cached_property
    def examples(self) -> Artifact | None:
        """The examples that the bundles were made from, where they are still there."""
        bundle = next(iter(self.bundles.values()), None)
        return self.storage.find("examples", bundle.manifest.parents["examples"]) if bundle else None

    @cached_property
    def readings(self) -> Artifact | None:
        """What a reader found in the reviews, where the bundles' features were made from that too."""
        parents = self.examples.manifest.parents if self.examples else {}
        return self.storage.find("readings", parents["readings"]) if "readings" in parents else None

    @property
    def settings(self) -> dict[str, BundleFile]:
        return {variant: bundle.settings for variant, bundle in self.opened.items()}

    @property
    def contexts(self) -> dict[str, ModelContext]:
        """What the features of each variant know."""
        return {variant: bundle.context for variant, bundle in self.opened.items()}

    def variants(self, protocol: str, origin: int) -> Iterator[Variant]:
        """Our models for a protocol: the given bundles, or fitted anew for further seeds and for rolling origins."""
        config = self.config
        if protocol.startswith("rolling_origins"):
            q = config.evaluation.origins
            config = with_cut(config, q[origin], q[origin + 1])
        for name, bundle in self.bundles.items():
            for n in range(config.evaluation.seeds):
                if n or config.split != self.config.split:
                    seeded = with_seed(config, config.seed + n)
                    self.progress(f"{protocol}: fitting {name}, seed {config.seed + n}")
                    bundle = fit_variant(seeded, self.storage, self.corpus, self.embeddings, self.readings, name)
                yield Variant.load(name, config.seed + n, bundle, self.data, config.evaluation.retrieve)

    def control_variants(self, protocol: str) -> Iterator[Variant]:
        """Controls answer where the bundles themselves do: they were fitted before T2."""
        if not protocol.startswith("rolling_origins"):
            for name, bundle in self.controls.items():
                yield Variant.load(name, self.config.seed, bundle, self.data, self.config.evaluation.retrieve)

    def item_vectors(self, train: Ints) -> Vectors | None:
        """(n_items, dim) sum of each item's training review vectors, else its own text's; zero without either."""
        vectors, data = self.vectors, self.data
        if vectors is None or self.embeddings is None:
            return None
        total = np.zeros((data.n_items, vectors.shape[1]), np.float32)
        np.add.at(total, data.item[train], vectors[train])
        own, _ = load_vectors(self.storage, self.embeddings, "item", list(data.item_ids)[1:])
        return np.where(total.any(axis=1, keepdims=True), total, np.pad(own, ((1, 0), (0, 0))))

    @cached_property
    def vectors(self) -> Vectors | None:
        """(n_events, dim) vectors of the reviews in the order of `Interactions`; zero rows where there is no text."""
        if self.embeddings is None:
            return None
        ids = self.corpus.table("reviews", [C.REVIEW_ID])[C.REVIEW_ID].take(self.order).to_pylist()
        return load_vectors(self.storage, self.embeddings, "review", ids)[0]

    @cached_property
    def order(self) -> Ints:
        """(n_events,) row of the reviews' table of each event."""
        table = self.corpus.table("reviews", [C.TIMESTAMP, C.EVENT_ORDER])
        order: Ints = np.lexsort((table[C.EVENT_ORDER].to_numpy(), table[C.TIMESTAMP].to_numpy()))
        return order

    @cached_property
    def text_lengths(self) -> Ints:
        """(n_events,) characters."""
        lengths = np.zeros(len(self.order), np.int64)
        for events, texts in self.texts():
            lengths[events] = pc.fill_null(pc.utf8_length(texts), 0).to_numpy(zero_copy_only=False)
        return lengths

    def texts(self) -> Iterator[tuple[Ints, pa.Array]]:
        """Events (n,) and their review texts (n,), some at a time, in order of the corpus's files."""
        event, start = np.empty(len(self.order), np.int64), 0
        event[self.order] = np.arange(len(self.order))
        reviews = self.corpus.dataset("reviews")
        for batch in reviews.to_batches(columns=[C.TEXT], batch_readahead=1, fragment_readahead=1):
            yield event[start : (start := start + batch.num_rows)], batch.column(0)


def load_interactions(corpus: Artifact) -> Interactions:
    """The corpus's events, without their texts."""
    marked = [C.OUTCOME] * (C.OUTCOME in corpus.dataset("reviews").schema.names)
    columns = [C.USER_ID, C.ITEM_ID, C.TIMESTAMP, C.EVENT_ORDER, C.STARS, *marked]
    seen, since = first_events(corpus)
    first = dict(zip(seen.to_pylist(), since.tolist(), strict=True))
    items = corpus.table("items", [C.ITEM_ID, C.AVAILABLE_FROM])
    data = Interactions.from_tables(corpus.table("reviews", columns), items, first, further_users(corpus).to_pylist())
    scale, outcome = (corpus.manifest.info.get(name, {}) for name in ("scale", "outcome"))
    return replace(data, liked_from=scale.get("liked_from", data.liked_from),
                   exclude_seen=outcome.get("exclude_seen", True))  # fmt: skip
