"""The stage `report`: every model answers the same queries, and the files say all that was found."""

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from llmrec.bundle import BundleFile, model_card
from llmrec.config import RunConfig
from llmrec.corpus.splits import cutoffs
from llmrec.encoding import load_vectors
from llmrec.evaluation.ablation.family_weights import family_weights
from llmrec.evaluation.ablation.refit import fit_variant, with_cut, with_seed
from llmrec.evaluation.ablation.stage import family_studies
from llmrec.evaluation.baselines import candidates
from llmrec.evaluation.data import corpus_facts, protocols
from llmrec.evaluation.data.interactions import Interactions, Ints
from llmrec.evaluation.data.profiles import Vectors
from llmrec.evaluation.data.protocols import Split
from llmrec.evaluation.data.slices import SliceMask, slices
from llmrec.evaluation.labels import clicks, leak, likes, stars
from llmrec.evaluation.labels.click_rivals import ClickData, click_rivals
from llmrec.evaluation.labels.like_ranker import our_likes
from llmrec.evaluation.ranking import lists as files
from llmrec.evaluation.ranking.evaluator import Catalogue, EvaluatedModel, Table, joined_queries
from llmrec.evaluation.ranking.our_models import Variant
from llmrec.evaluation.ranking.roster import baseline_models, control_models, our_models
from llmrec.evaluation.ranking.tables import Asked, protocol_table
from llmrec.evaluation.report import console
from llmrec.evaluation.report.render import write_report
from llmrec.evaluation.report.schema import (
    Comparison,
    Control,
    FamilyStudy,
    FusionWeights,
    Headline,
    LabelTable,
    LeakGap,
    Point,
    Protocol,
    Results,
    TrainingCurve,
)
from llmrec.files import write_bytes
from llmrec.schema import Column as C
from llmrec.storage import Artifact, ArtifactWriter, Storage, artifact_id

logger = logging.getLogger(__name__)
_STAGE = "report"


@dataclass(frozen=True)
class Evaluation:
    """One evaluation under way."""

    config: RunConfig
    storage: Storage
    corpus: Artifact
    embeddings: Artifact | None
    bundles: Mapping[str, Artifact]
    controls: Mapping[str, Artifact]
    data: Interactions
    writer: ArtifactWriter

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


def evaluate(
    config: RunConfig,
    storage: Storage,
    corpus: Artifact,
    embeddings: Artifact | None,
    bundles: Mapping[str, Artifact],
    controls: Mapping[str, Artifact] = MappingProxyType({}),
) -> Artifact:
    """The artifact `report` of the variants in `bundles` (`text`, `no_text`), beside the tuned baselines.

    `controls`: bundles of `llmrec.experiment`, by name; they join the tables of the `temporal` and `frozen` protocols.

    Holds `results.json`, `report.html`, `model_card.md`, each bundle's card with its test figures
    (`cards/VARIANT.md`) and the lists of `ranking/lists.py`; prints the tables.

    Raises ValueError where a bundle was made from another corpus.
    """
    read = {
        "evaluation": config.evaluation.model_dump(), "split": config.split.model_dump(), "seed": config.seed,
        "name": config.name, "training": config.training.model_dump(exclude={"max_failures"}),
    }  # fmt: skip
    parents = {"corpus": corpus.id} | ({"embeddings": embeddings.id} if embeddings else {})
    parents |= {f"bundle.{variant}": bundle.id for variant, bundle in bundles.items()}
    parents |= {f"control.{name}": bundle.id for name, bundle in controls.items()}
    made = artifact_id(__name__, read, parents)
    if (found := storage.find(_STAGE, made)) is None:
        with storage.build(_STAGE, made, module=__name__, config=read, parents=parents) as writer:
            data = load_interactions(corpus)
            started = time.perf_counter()
            results = _results(Evaluation(config, storage, corpus, embeddings, bundles, controls, data, writer))
            run = corpus_facts.run_facts(config, made, corpus, bundles, time.perf_counter() - started)
            results = results.model_copy(update={"run": run})
            write_report(writer.folder, results)
            for variant, bundle in bundles.items():
                write_bytes(writer.uri(f"cards/{variant}.md"), _card(variant, bundle, results).encode())
            writer.info |= summary(results)
        built = storage.find(_STAGE, made)
        assert built is not None
        found = Artifact(built.root, built.manifest)
    console.show(Results.model_validate(found.json("results.json")))
    return found


def _card(variant: str, bundle: Artifact, results: Results) -> str:
    """The bundle's own model card, with what this evaluation measured of it."""
    measured = {t.name: m for t in results.tables() for m in t.models if m.name == variant}
    metrics = {table: {k: v.value for k, v in m.metrics.items()} for table, m in measured.items()}
    return model_card(_settings(bundle), metrics)


def _settings(bundle: Artifact) -> BundleFile:
    return BundleFile.model_validate(bundle.json("bundle.json"))


def load_interactions(corpus: Artifact) -> Interactions:
    """The corpus's events, without their texts."""
    columns = [C.USER_ID, C.ITEM_ID, C.TIMESTAMP, C.EVENT_ORDER, C.STARS]
    return Interactions.from_tables(
        corpus.table("reviews", columns), corpus.table("items", [C.ITEM_ID, C.AVAILABLE_FROM])
    )


def _results(e: Evaluation) -> Results:
    tables, headline = [], None
    for place, name in enumerate(e.config.evaluation.protocols):
        table, single = _protocol(e, name, "" if place == 0 else f"{name}/")
        tables.append(table)
        if place == 0 and single is not None:
            cost = corpus_facts.seconds_per_1000(e.embeddings.manifest.info) if e.embeddings else None
            headline = Headline(protocol=name, comparison=single, encoder_seconds_per_1000=cost)
    labels, gaps = _labels(e)
    return Results(
        run=corpus_facts.run_facts(e.config, "", e.corpus, e.bundles, 0.0),
        portrait=corpus_facts.portrait(e.config, e.data, e.corpus, e.embeddings),
        headline=headline, protocols=tables, labels=labels, leak_gaps=gaps, families=_families(e),
        family_weights=_family_weights(e), controls=_controls(e, tables), training_curves=_curves(e),
    )  # fmt: skip


def _protocol(e: Evaluation, name: str, folder: str) -> tuple[Protocol, Comparison | None]:
    """Ask every model the protocol's queries, write the lists, and make the table."""
    config = e.config.evaluation
    splits = make_splits(e.data, e.config, name)
    last, folds = splits[-1], [s.test for s in splits]
    queries = joined_queries([f.queries for f in folds])
    if not len(queries):
        raise ValueError(f"protocol {name!r}: found no query in {len(e.data)} events, expected at least one; leave it "
                         "out of evaluation.protocols, or give a longer corpus")  # fmt: skip
    e.writer.write_table(f"{folder}truth", files.truth(queries, e.data))
    catalogue = Catalogue.of(last.test, _item_vectors(e, last.test.train))
    with files.Lists(e.writer.uri(f"{folder}recommendations"), e.data) as lists:
        table, first = Table(lists, catalogue, config.cutoffs, config.list_length), 0
        for place, split in enumerate(splits):
            for evaluated in _contestants(e, split, place):
                table.ask(evaluated, split.test, first)
            first += len(split.test.queries)
    masks = [m for m in _slices(e, splits) if len(m.mask)]
    asked = Asked(
        name, last.test.information_set, last.wording, queries, catalogue.n_candidates, sum(f.missed() for f in folds),
        splits[0].validation.t, splits[0].test.t,
    )  # fmt: skip
    return protocol_table(asked, table.measured, masks, config, e.config.seed)


def make_splits(data: Interactions, config: RunConfig, name: str) -> list[Split]:
    """The protocol `name` on the corpus: one split, or one an origin."""
    if name == "leave_last_out":
        return [protocols.leave_last_out(data)]
    if name == "random":
        e = config.evaluation
        return [protocols.random_split(data, config.seed, e.random_test_share, e.k_core)]
    if name == "rolling_origins":
        return protocols.rolling_origins(data, config.evaluation.origins)
    cut = cutoffs(data.time, config.split)
    return [(protocols.frozen if name == "frozen" else protocols.temporal)(data, cut.t1, cut.t2)]


def _contestants(e: Evaluation, split: Split, origin: int) -> Iterator[EvaluatedModel]:
    """One after the other, each forgotten before the next is loaded or fitted."""
    if split.test.information_set == "point_in_time":
        yield from our_models(_arms(e, split.name, origin), split, logger.info)
        yield from control_models(_control_arms(e, split), split, logger.info)
    yield from baseline_models(split, e.config.evaluation, logger.info, e.vectors)


def _arms(e: Evaluation, protocol: str, origin: int) -> Iterator[Variant]:
    """Our models for a protocol: the given bundles, or fitted anew for further seeds and for rolling origins."""
    config = e.config
    if protocol.startswith("rolling_origins"):
        q = config.evaluation.origins
        config = with_cut(config, q[origin], q[origin + 1])
    for name, bundle in e.bundles.items():
        for n in range(config.evaluation.seeds):
            if n or config.split != e.config.split:
                seeded = with_seed(config, config.seed + n)
                bundle = fit_variant(seeded, e.storage, e.corpus, e.embeddings, name)
            yield Variant.load(name, config.seed + n, bundle, e.data, config.evaluation.retrieve)


def _control_arms(e: Evaluation, split: Split) -> Iterator[Variant]:
    """Controls answer where the bundles themselves do: they were fitted before T2."""
    if not split.name.startswith("rolling_origins"):
        for name, bundle in e.controls.items():
            yield Variant.load(name, e.config.seed, bundle, e.data, e.config.evaluation.retrieve)


def _controls(e: Evaluation, tables: Sequence[Protocol]) -> list[Control]:
    """`text` against each control, from the comparisons of the first table that has it."""
    found = []
    for name, bundle in e.controls.items():
        for table in tables:
            pair = next((c for c in table.comparisons if (c.model, c.against) == ("text", name)), None)
            if pair is not None:
                words = str(bundle.manifest.info.get("variant", ""))
                words = f"{name.replace('_', ' ')} (variant {words})"
                found.append(Control(name=name, description=words, table=table.name, comparison=pair))
                break
    return found


def _slices(e: Evaluation, splits: Sequence[Split]) -> list[SliceMask]:
    """Slices of the joined queries."""
    parts = [slices(s.test, _languages(e, s.test), _text_length(e, s.test)) for s in splits]
    sizes = [len(s.test.queries) for s in splits]
    names = dict.fromkeys((m.by, m.level) for part in parts for m in part)
    found = []
    for by, level in names:
        masks = [
            next((m.mask for m in part if (m.by, m.level) == (by, level)), np.zeros(n, bool))
            for part, n in zip(parts, sizes, strict=True)
        ]
        found.append(SliceMask(by, level, np.concatenate(masks)))
    return found


def _text_length(e: Evaluation, fold: protocols.Fold) -> Ints:
    """(Q,) characters of the first relevant item's reviews before the query's time."""
    by_item = np.lexsort((e.data.time, e.data.item))
    total = np.concatenate([[0], np.cumsum(e.text_lengths[by_item])])
    q = fold.queries
    moments, stamp = np.unique(e.data.time, return_inverse=True)
    key = e.data.item[by_item] * (len(moments) + 1) + stamp[by_item]
    first = q.item[q.indptr[:-1]] * (len(moments) + 1)
    start, stop = np.searchsorted(key, first), np.searchsorted(key, first + np.searchsorted(moments, q.time))
    return np.asarray(total[stop] - total[start])


def _languages(e: Evaluation, fold: protocols.Fold) -> dict[int, str]:
    """Event row -> language of its text, for the queries' events; {} where the corpus speaks one language."""
    if len(e.corpus.manifest.info.get("languages", {})) < 2:
        return {}
    from py3langid import langid  # loads its model at the first text

    asked = np.zeros(len(e.order), np.bool_)
    asked[fold.queries.event] = True
    asked &= e.text_lengths >= 20
    return {
        int(event): langid.classify(text)[0]
        for events, texts in e.texts()
        for event, text in zip(events[asked[events]], texts.filter(pa.array(asked[events])).to_pylist(), strict=True)
    }


def _item_vectors(e: Evaluation, train: Ints) -> npt.NDArray[np.float32] | None:
    """(n_items, dim) sum of each item's training review vectors, else of its own text; zero where there is neither."""
    vectors = e.vectors
    if vectors is None or e.embeddings is None:
        return None
    total = np.zeros((e.data.n_items, vectors.shape[1]), np.float32)
    np.add.at(total, e.data.item[train], vectors[train])
    own, _ = load_vectors(e.storage, e.embeddings, "item", list(e.data.item_ids))
    return np.where(total.any(axis=1, keepdims=True), total, own)


def _labels(e: Evaluation) -> tuple[list[LabelTable], list[LeakGap]]:
    """The tables of labels, and what putting the target's review back would do to them and to the ranking."""
    tables, gaps = _clicks(e), list[LeakGap]()
    cut = cutoffs(e.data.time, e.config.split)
    split = protocols.temporal(e.data, cut.t1, cut.t2)
    config, seed, vectors = e.config.evaluation, e.config.seed, e.vectors
    rows = stars.StarRows.of(split)
    tables += _likes(e, rows, vectors)
    if len(rows.fit) and len(rows.test):
        logger.info("stars: bias, factorisation, text")
        models = stars.star_models(e.data, rows, vectors, seed)
        tables.append(stars.star_table(e.data, rows, models, config, seed))
        for m in models:
            columns: dict[str, npt.NDArray[Any]] = {C.STARS: e.data.stars[rows.test], "predicted": m.predicted}
            at = (e.data.user[rows.test], e.data.item[rows.test], e.data.time[rows.test])
            e.writer.write_table(f"stars/{m.name}", files.labelled(e.data, *at, columns))
        if vectors is not None:
            gaps += leak.star_gaps(e.data, rows, vectors, models[-1].settings, config, seed)
    if vectors is not None and config.size == "full" and "temporal" in config.protocols:
        logger.info("leak gap: the boosted ranker with the review put back")
        gaps += leak.ranking_gaps(split.test, vectors, config, "temporal", seed)
    return tables, gaps


def _examples(e: Evaluation) -> Artifact | None:
    """The examples that the bundles were made from, where they are still there."""
    bundle = next(iter(e.bundles.values()), None)
    return e.storage.find("examples", bundle.manifest.parents["examples"]) if bundle else None


def _families(e: Evaluation) -> list[FamilyStudy]:
    examples = _examples(e) if e.config.evaluation.families else None
    return family_studies(e.config, e.storage, examples) if examples else []


def _family_weights(e: Evaluation) -> list[FusionWeights]:
    """One entry a variant whose fusion learned weights, and its file."""
    found = []
    for variant, bundle in e.bundles.items():
        examples = e.storage.find("examples", bundle.manifest.parents["examples"])
        if examples is not None:
            found.append(family_weights(variant, bundle, examples, e.writer.uri(f"family_weights/{variant}.parquet")))
    return [f for f in found if f]


def _clicks(e: Evaluation) -> list[LabelTable]:
    """The click table, where the bundles' examples are still there."""
    examples = _examples(e)
    if examples is None:
        return []
    config, seed, vectors = e.config.evaluation, e.config.seed, e.vectors
    labelled = ClickData.read(examples, e.data, vectors, seed)
    names = {c.name for c in candidates(config.size, config.baselines, vectors)}
    predicted = clicks.our_predictions(_arms(e, "temporal", 0), labelled.test) + click_rivals(labelled, names)
    _write_probabilities(e, "clicks", labelled.test, predicted)
    return [clicks.click_table(labelled.test, predicted, config, seed, e.config.features.negatives)]


def _likes(e: Evaluation, rows: stars.StarRows, vectors: Vectors | None) -> list[LabelTable]:
    """The like table, where the test holds reviews of both kinds."""
    data, config, seed = likes.liked(e.data), e.config.evaluation, e.config.seed
    if not likes.measurable(data, rows):
        return []
    asked, examples = likes.like_rows(data, rows), _examples(e)
    predicted = []
    if examples is not None:
        logger.info("likes: our ranker")
        settings = {variant: _settings(bundle).models for variant, bundle in e.bundles.items()}
        predicted += our_likes(settings, examples, asked.label, e.config.features.negatives, config.seeds, seed)
    logger.info("likes: rates, text")
    predicted += likes.like_models(data, rows, vectors, seed)
    _write_probabilities(e, "likes", asked, predicted)
    return [likes.like_table(asked, predicted, config, seed)]


def _write_probabilities(
    e: Evaluation, folder: str, rows: clicks.ClickRows, predicted: Sequence[clicks.Predicted]
) -> None:
    for p in predicted:
        columns: dict[str, npt.NDArray[Any]] = {C.LABEL: rows.label.astype(np.int8), C.PROBABILITY: p.probability}
        e.writer.write_table(f"{folder}/{p.name}", files.labelled(e.data, rows.user, rows.item, rows.time, columns))


def _curves(e: Evaluation) -> list[TrainingCurve]:
    """Loss and metrics after each epoch, from the models that the bundles were made of."""
    found = []
    for variant, bundle in e.bundles.items():
        models = e.storage.find("models", bundle.manifest.parents["models"])
        curves = models.json("curves.json") if models else {}
        for model, folds in curves.items():
            epochs = folds.get("validation", [])
            for metric in sorted({k for row in epochs for k in row} - {"epoch"}):
                points = [Point(x=row["epoch"], y=row[metric]) for row in epochs if metric in row]
                split = "train" if metric == "loss" else "validation"
                found.append(TrainingCurve(model=model, variant=variant, metric=metric, split=split, points=points))
    return found


def summary(results: Results) -> dict[str, object]:
    """The figures that the console and the pipeline's last line show: table -> model -> metric -> value."""
    return {
        "metrics": {
            t.name: {m.name: {k: round(v.value, 6) for k, v in m.metrics.items()} for m in t.models}
            for t in results.tables()
        },
        "verdict": results.headline.comparison.verdict if results.headline else None,
    }
