"""A protocol's table: every model asked its queries, lists written, figures sliced and compared."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa

from llmrec.config import RunConfig
from llmrec.corpus.splits import cutoffs
from llmrec.evaluation.data import protocols
from llmrec.evaluation.data.folds import Fold, Split
from llmrec.evaluation.data.slices import SliceMask, slices
from llmrec.evaluation.data.survivorship import survivor_slices, without_owed
from llmrec.evaluation.evaluation_run import EvaluationRun
from llmrec.evaluation.ranking import lists
from llmrec.evaluation.ranking.evaluator import Catalogue, EvaluatedModel, Table, joined_queries
from llmrec.evaluation.ranking.oracle import oracle_models
from llmrec.evaluation.ranking.roster import baseline_models, control_models, our_models
from llmrec.evaluation.ranking.tables import TableScope, protocol_table
from llmrec.evaluation.records.estimates import Comparison
from llmrec.evaluation.records.tables import Protocol
from llmrec.features.asof.events import EntityEvents
from llmrec.features.asof.interactions import Interactions, Ints


def measure_protocol(e: EvaluationRun, name: str, folder: str) -> tuple[Protocol, Comparison | None]:
    """Ask every model the protocol's queries, write the lists, and make the table."""
    config = e.config.evaluation
    splits = make_splits(e.data, e.config, name)
    if config.uncored:
        splits = [without_owed(s) for s in splits]
    last, folds = splits[-1], [s.test for s in splits]
    queries = joined_queries([f.queries for f in folds])
    if not len(queries):
        raise ValueError(f"protocol {name!r}: found no query in {len(e.data)} events, expected at least one; leave it "
                         "out of evaluation.protocols, or give a longer corpus")  # fmt: skip
    e.writer.write_table(f"{folder}truth", lists.truth(queries, e.data))
    catalogue = Catalogue.of(last.test, e.item_vectors(last.test.train))
    with lists.Lists(e.writer.uri(f"{folder}recommendations"), e.data) as written:
        table, first = Table(written, catalogue, config.cutoffs, config.list_length), 0
        for place, split in enumerate(splits):
            for evaluated in _roster(e, split, place):
                table.ask(evaluated, split.test, first)
            first += len(split.test.queries)
    e.progress(f"{name}: parts of the queries, comparisons and intervals")
    masks = [m for m in _slices(e, splits) if len(m.mask)]
    asked = TableScope(
        name, last.test.information_set, last.wording, queries, catalogue.n_candidates, sum(f.missed() for f in folds),
        _ranked(e, last), splits[0].validation.t, splits[0].test.t,
    )  # fmt: skip
    return protocol_table(asked, table.measured, masks, config, e.config.seed)


def _ranked(e: EvaluationRun, split: Split) -> int | None:
    """How many candidates retrieval hands to our rankers, where they answer at all."""
    if split.test.information_set != "point_in_time" or not e.bundles:
        return None
    return max(e.config.evaluation.retrieve, e.config.evaluation.list_length)


def make_splits(data: Interactions, config: RunConfig, name: str) -> list[Split]:
    """The protocol `name` on the corpus: one split, or one an origin."""
    if name == "leave_last_out":
        return [protocols.leave_last_out(data, config.evaluation.k_core)]
    if name == "random":
        e = config.evaluation
        return [protocols.random_split(data, config.seed, e.random_test_share, e.k_core)]
    if name == "rolling_origins":
        return protocols.rolling_origins(data, config.evaluation.origins)
    cut = cutoffs(data.time, config.split)
    return [(protocols.frozen if name == "frozen" else protocols.temporal)(data, cut.t1, cut.t2)]


#: Protocols that ask at a time.
_CLOCKED = ("temporal", "rolling_origins")


def _roster(e: EvaluationRun, split: Split, origin: int) -> Iterator[EvaluatedModel]:
    """One after the other, each forgotten before the next is loaded or fitted."""
    if split.test.information_set == "point_in_time":
        yield from our_models(e.variants(split.name, origin), split, e.progress)
        yield from control_models(e.control_variants(split.name), split, e.progress)
    yield from baseline_models(split, e.config.evaluation, e.progress, e.vectors)
    corpus = e.config.corpus  # where it has events, who looked at what tells more than the oracle knows
    if corpus.source == "sample" and not corpus.sample.events and split.name.startswith(_CLOCKED):
        yield from oracle_models(e.config.corpus.sample, split)


def _slices(e: EvaluationRun, splits: Sequence[Split]) -> list[SliceMask]:
    """Slices of the joined queries."""
    parts = [slices(s.test, _languages(e, s.test), _text_length(e, s.test)) + survivor_slices(s.test) for s in splits]
    sizes = [len(s.test.queries) for s in splits]
    found = []
    for name in dict.fromkeys((m.by, m.level) for part in parts for m in part):
        same = [next((m for m in part if (m.by, m.level) == name), None) for part in parts]
        masks = [np.zeros(n, bool) if m is None else m.mask for m, n in zip(same, sizes, strict=True)]
        like = next(m for m in same if m is not None)
        found.append(replace(like, mask=np.concatenate(masks)))
    return found


def _text_length(e: EvaluationRun, fold: Fold) -> Ints:
    """(Q,) characters of the first relevant item's reviews before the query's time."""
    events, q = EntityEvents.of(e.data.item, e.data.time, e.data.n_items), fold.queries
    total = np.concatenate([[0], np.cumsum(e.text_lengths[events.order])])
    span = events.span(q.item[q.indptr[:-1]], q.time)
    return np.asarray(total[span.end] - total[span.begin])


def _languages(e: EvaluationRun, fold: Fold) -> dict[int, str]:
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
