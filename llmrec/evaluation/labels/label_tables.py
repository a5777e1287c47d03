"""The tables of labels, and what putting the target's review back would do to them and to the ranking."""

import logging
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from llmrec.corpus.splits import cutoffs
from llmrec.evaluation.data import protocols
from llmrec.evaluation.evaluation_run import EvaluationRun
from llmrec.evaluation.labels import leak, raters
from llmrec.evaluation.labels.outcomes import outcome_tables
from llmrec.evaluation.labels.rankers import baseline_clicks, baseline_rankers, our_clicks, our_likes
from llmrec.evaluation.labels.raters import RatedRows
from llmrec.evaluation.labels.rows import LabelRows
from llmrec.evaluation.labels.tables import Predicted, TestRows, click_table
from llmrec.evaluation.ranking import lists
from llmrec.evaluation.records.results import LeakGap
from llmrec.evaluation.records.tables import LabelTable
from llmrec.schema import Column as C

logger = logging.getLogger(__name__)


def measure_labels(e: EvaluationRun) -> tuple[list[LabelTable], list[LeakGap]]:
    """Clicks, likes and stars, as far as the corpus has them; the leak gaps."""
    cut, config, seed = cutoffs(e.data.time, e.config.split), e.config.evaluation, e.config.seed
    split = protocols.temporal(e.data, cut.t1, cut.t2)
    rows = RatedRows.of(split, e.vectors, seed)
    tables, gaps = _clicks(e) + _likes(e, rows), list[LeakGap]()
    if len(rows.fit) and len(rows.test):
        logger.info("stars: bias, factorisation, text")
        models = raters.rate(rows, raters.STARS)
        ours = raters.our_stars(e.variants("temporal", 0), rows) if e.config.training.raters else []
        tables.append(raters.star_table(rows, models, config, seed, ours))
        for p in (*ours, *raters.as_predicted(models)):
            _write(e, f"stars/{p.name}", rows.likes, {C.STARS: e.data.stars[rows.test], "predicted": p.probability})
        if e.vectors is not None:
            gaps += leak.star_gaps(rows, models[-1].settings, config, seed)
    tables += outcome_tables(e)
    if e.vectors is not None and config.size == "full" and "temporal" in config.protocols:
        logger.info("leak gap: the boosted ranker with the review put back")
        gaps += leak.ranking_gaps(split.test, e.vectors, config, "temporal", seed)
    return tables, gaps


def _clicks(e: EvaluationRun) -> list[LabelTable]:
    """The click table, where the bundles' examples are still there."""
    if e.examples is None:
        return []
    config, seed = e.config.evaluation, e.config.seed
    first = next(iter(e.contexts.values()))
    asked = TestRows.of(LabelRows.read(e.examples, first, "click").test, e.data)
    names = baseline_rankers(config.size, config.baselines, e.config.training.ranker.name)
    predicted = our_clicks(e.variants("temporal", 0), e.examples) + baseline_clicks(names, e.contexts, e.examples, seed)
    _write_probabilities(e, "clicks", asked, predicted)
    return [click_table(asked, predicted, config, seed, e.config.features.negatives)]


def _likes(e: EvaluationRun, rows: RatedRows) -> list[LabelTable]:
    """The like table, where the test holds reviews of both kinds."""
    if not rows.has_both_likes:
        return []
    predicted, asked, config = list[Predicted](), rows.likes, e.config.evaluation
    if e.examples is not None:
        logger.info("likes: our ranker")
        negatives = e.config.features.negatives
        predicted += our_likes(e.settings, e.contexts, e.examples, asked, negatives, config.seeds, e.config.seed)
    logger.info("likes: rates, text")
    predicted += raters.as_predicted(raters.rate(rows, raters.LIKES))
    _write_probabilities(e, "likes", asked, predicted)
    return [raters.like_table(asked, predicted, config, e.config.seed, e.data.liked_from)]


def _write_probabilities(e: EvaluationRun, folder: str, rows: TestRows, predicted: Sequence[Predicted]) -> None:
    for p in predicted:
        _write(e, f"{folder}/{p.name}", rows, {C.LABEL: rows.label.astype(np.int8), C.PROBABILITY: p.probability})


def _write(e: EvaluationRun, table: str, rows: TestRows, columns: dict[str, npt.NDArray[Any]]) -> None:
    e.writer.write_table(table, lists.labelled(e.data, rows.user, rows.item, rows.time, columns))
