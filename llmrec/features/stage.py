"""The stage `featurize`: reviews and their vectors in, examples with features, the spec and the history out."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pyarrow as pa

from llmrec.config import FeaturesConfig, RunConfig
from llmrec.corpus.splits import cutoffs
from llmrec.encoding import load_vectors
from llmrec.features.asof import Floats32
from llmrec.features.examples import Clicks, example_table
from llmrec.features.history import History, event_sort
from llmrec.features.negatives import NegativeSampler
from llmrec.features.projection import Moments, TextProjection
from llmrec.features.spec import FeatureSpec
from llmrec.schema import Column as C
from llmrec.storage import Artifact, ArtifactWriter, Storage, artifact_id, write_parquet

Fold = Literal["validation", "test"]
_STAGE, _ROOM = "examples", "features"


def featurize(
    config: RunConfig, storage: Storage, corpus: Artifact, embeddings: Artifact | None, fold: Fold
) -> Artifact:
    """The artifact `examples` of a fold; what exists is reused.

    Fold `validation` learns from events before T1 and holds the splits train and validation, [T1, T2); fold `test`
    learns from events before T2 and holds train and test. `embeddings` may be None where `features.text` is false.
    Raises ValueError where the corpus has no event to train on.
    """
    sections = {"features": config.features.model_dump(), "split": config.split.model_dump(), "fold": fold}
    parents = {a.manifest.stage: a.id for a in (corpus, embeddings) if a is not None}
    made = artifact_id(_ROOM, sections, parents)
    if (found := storage.find(_STAGE, made)) is not None:
        return found
    with storage.build(_STAGE, made, room=_ROOM, config=sections, parents=parents) as writer:
        _build(config, storage, corpus, embeddings if config.features.text else None, fold, writer)
    artifact = storage.find(_STAGE, made)
    assert artifact is not None
    return Artifact(artifact.root, artifact.manifest)


def _build(config: RunConfig, storage: Storage, corpus: Artifact, embeddings: Artifact | None, fold: Fold,
           writer: ArtifactWriter) -> None:  # fmt: skip
    columns = [C.REVIEW_ID, C.USER_ID, C.ITEM_ID, C.TIMESTAMP, C.EVENT_ORDER, C.STARS]
    reviews, items = corpus.table("reviews", columns), corpus.table("items")
    reviews = reviews.take(event_sort(reviews)).combine_chunks()
    cut = cutoffs(reviews[C.TIMESTAMP].to_numpy(), config.split)
    vectors: tuple[Floats32 | None, Floats32 | None] = (None, None)
    if embeddings is not None:
        review_vectors, _ = load_vectors(storage, embeddings, "review", reviews[C.REVIEW_ID].to_pylist())
        item_vectors, _ = load_vectors(storage, embeddings, "item", items[C.ITEM_ID].to_pylist())
        vectors = (review_vectors, item_vectors)
    prepared = prepare(config.features, reviews, items, *vectors, t1=cut.t1, t2=cut.t2, fold=fold)
    prepared.history.save(writer.uri("history"))
    prepared.spec.save(writer.uri("spec"))
    times = reviews[C.TIMESTAMP].to_numpy()
    covered = len(times) if fold == "test" else int((times < cut.t2).sum())
    _write_examples(writer, prepared, covered)
    writer.info |= _info(prepared.spec, cut.t1, cut.t2, fold)


@dataclass(frozen=True)
class Prepared:
    """All that example rows are made from."""

    history: History
    spec: FeatureSpec
    clicks: list[Clicks]  # train, then the fold's other split


def prepare(settings: FeaturesConfig, reviews: pa.Table, items: pa.Table, review_vectors: Floats32 | None,
            item_vectors: Floats32 | None, *, t1: int, t2: int, fold: Fold) -> Prepared:  # fmt: skip
    """Fit and lay out one fold in memory. `reviews` are in order of events, vectors aligned (`History.build`)."""
    until = t1 if fold == "validation" else t2
    projection = None
    if review_vectors is not None and item_vectors is not None:
        projection = _projection(settings, reviews, items, review_vectors, item_vectors, until)
    history = History.build(reviews, items, review_vectors, item_vectors, projection=projection, settings=settings)
    clicks = _clicks(history, reviews[C.REVIEW_ID], fold, t1, t2)
    if not len(clicks[0].events):
        raise ValueError(f"featurize: no event lies before the cut-off {until} ms of fold {fold!r}; expected some: "
                         "give the corpus more events, or raise split.validation_quantile")  # fmt: skip
    spec = FeatureSpec.fit(settings, history, clicks[0].pairs(history)[0], until)
    return Prepared(history, spec, clicks)


def _projection(settings: FeaturesConfig, reviews: pa.Table, items: pa.Table, review_vectors: Floats32,
                item_vectors: Floats32, until: int) -> TextProjection:  # fmt: skip
    """Fitted on reviews before the cut-off, and on the texts of items known before it."""
    past = reviews[C.TIMESTAMP].to_numpy() < until
    reviewed = set(reviews[C.ITEM_ID].filter(pa.array(past)).to_pylist())
    dated = items[C.AVAILABLE_FROM].fill_null(np.iinfo(np.int64).max).to_numpy() < until
    known = dated | np.array([i in reviewed for i in items[C.ITEM_ID].to_pylist()], np.bool_)
    return TextProjection.fit(Moments.of(review_vectors[past]), Moments.of(item_vectors[known]), settings.text_dim)


def _clicks(history: History, review_ids: pa.ChunkedArray, fold: Fold, t1: int, t2: int) -> list[Clicks]:
    """Training clicks, then those of the fold's other split."""
    data, settings = history.data, history.settings
    sampler = NegativeSampler.of(history, settings.seed)
    first, second = (int(n) for n in np.searchsorted(data.times, (t1, t2)))
    ranges = {
        "validation": (("train", 0, first), ("validation", first, second)),
        "test": (("train", 0, second), ("test", second, len(data.times))),
    }
    result = []
    for split, lower, upper in ranges[fold]:
        events = np.arange(lower, upper)
        who, when, order = data.user_rows[events], data.times[events], data.event_order[events]
        negatives = sampler.sample(who, when, order, settings.negatives)
        result.append(Clicks(events, negatives, pa.array(review_ids.to_pylist()[lower:upper], pa.string()), split))
    return result


def _write_examples(writer: ArtifactWriter, prepared: Prepared, n_reviews: int) -> None:
    positives = 0
    for group in prepared.clicks:
        for number, chunk in enumerate(group.chunks()):
            table = example_table(prepared.history, prepared.spec, chunk)
            write_parquet(writer.uri(f"examples/{group.split}-{number:05d}.parquet"), table)
            positives += int(np.sum(table[C.CLICK].to_numpy()))
    writer.counts |= {"rows_in": n_reviews, "rows_out": positives, "quarantined": 0}
    for group in prepared.clicks:
        writer.counts[f"clicks_{group.split}"] = len(group.events)
        writer.counts[f"negatives_{group.split}"] = int((group.negatives > 0).sum())
        writer.counts[f"negatives_missing_{group.split}"] = int((group.negatives == 0).sum())


def _info(spec: FeatureSpec, t1: int, t2: int, fold: Fold) -> dict[str, Any]:
    columns = [*spec.user_columns, *spec.item_columns, *spec.pair_columns]
    widths = {name: sum(c.family == name for c in columns) for name in spec.families}
    return {"t1": t1, "t2": t2, "fold": fold, "cutoff": spec.cutoff, "families": widths,
            "n_users": spec.n_users, "n_items": spec.n_items}  # fmt: skip
