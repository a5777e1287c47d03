"""Registered rankers in the tables of labels: ours as served, ours fitted to likes, baselines beside them."""

import logging
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from scipy.special import expit

from llmrec.catalogue import MODELS
from llmrec.config.data.outcomes import CLICK
from llmrec.config.models import ModelConfig, model_config
from llmrec.evaluation.labels.rows import LabelRows
from llmrec.evaluation.labels.tables import Predicted, TestRows
from llmrec.evaluation.ranking.our_models import Variant
from llmrec.features.asof.interactions import Floats
from llmrec.features.dataset.rows import Examples
from llmrec.models.base import ModelContext, Ranker
from llmrec.models.files.store import make_model
from llmrec.models.linear import platt
from llmrec.models.rankers.columns import ColumnsRanker
from llmrec.models.rankers.multitask.config import MultiTaskConfig
from llmrec.storage import Artifact
from llmrec.variants import VARIANT_LABELS

logger = logging.getLogger(__name__)


def our_clicks(variants: Iterable[Variant], examples: Artifact) -> list[Predicted]:
    """The ranker of each variant, as it serves; `variants`: the seeds of a variant one after the other."""
    found = []
    for name, seeds in groupby(variants, lambda v: v.name):
        bundles = [v.bundle for v in seeds]
        rows = LabelRows.read(examples, bundles[0].context, "click").test
        by_seed = [b.models.click_probability(rows).astype(np.float64) for b in bundles]
        label = f"Ranker, {VARIANT_LABELS.get(name, name)}"
        found.append(Predicted(name, "ours", label, "CTR model on the click label", by_seed))
    return found


#: Rankers of many outcomes, which a corpus may not have: baselines where they are named.
OF_MANY = tuple(name for name, path in MODELS["ranker"].items() if ".multitask." in path)


def baseline_rankers(size: str, names: Sequence[str] | None, ours: str) -> list[str]:
    """The registered rankers of a size, or those named as baselines; but the one that is ours."""
    every = [name for name in MODELS["ranker"] if name not in OF_MANY]
    wanted = names if names is not None else (["popularity"] if size == "quick" else every)
    return [name for name in MODELS["ranker"] if name in wanted and name != ours]


def baseline_clicks(
    names: Sequence[str], contexts: dict[str, ModelContext], examples: Artifact, seed: int
) -> list[Predicted]:
    """Each of the rankers, fitted before T2 on the columns of each variant in turn, where it reads others there.

    One that reads features, but none that the variant has, has nothing to say.
    """
    found, read = list[Predicted](), set[tuple[str, ...]]()
    for variant, context in contexts.items():
        rows = LabelRows.read(examples, context, "click") if names else None
        if rows is None or not rows.measurable:
            logger.warning("clicks: rows of one label only before T2; no baselines")
            return []
        for name in names:
            model: Ranker = make_model("ranker", model_config("ranker", name), context)
            columns = (name, *model.reads_columns())
            nothing = isinstance(model, ColumnsRanker) and not model.reads_columns()  # of text, without text
            if nothing or columns in read:
                continue
            read.add(columns)
            logger.info("clicks: %s, %s", name, variant)
            mine = LabelRows.read(examples, context, "click", model.outcomes) if model.outcomes else rows
            logits, chosen = fit_and_ask(model.config, context, mine, seed)
            both = any(key[0] == name and key != columns for key in read)
            title = f"{model.INFO.title}, {VARIANT_LABELS.get(variant, variant)}" if both else model.INFO.title
            key = f"{name}_{variant}" if both else name
            found.append(Predicted(key, "baseline", title, model.INFO.description, [_probability(logits)], chosen))
    return found


def our_likes(
    bundles: dict[str, Any], contexts: dict[str, ModelContext], examples: Artifact, asked: TestRows, negatives: int,
    seeds: int, seed: int,
) -> list[Predicted]:  # fmt: skip
    """Our ranker, fitted to the label `like` on reviews alone, of each variant; `bundles`: their settings.

    `asked`: the test reviews, in order of events. `negatives`: so many rows of the click label are missing beside each
    review, and batches are smaller by as much. A Platt scaling is chosen on [T1, T2).
    """
    found = []
    for variant, context in contexts.items():
        rows = LabelRows.read(examples, context, "like")
        if not rows.measurable:
            logger.warning("likes: reviews of one kind only in [T1, T2); our ranker is not fitted to them")
            return []
        assert np.array_equal(rows.test.click > 0, asked.label), "the examples hold other test reviews than the corpus"
        config = _of_one(_paced(model_config("ranker", bundles[variant].models.models["ranker"]), negatives))
        fitted = [fit_and_ask(config, context, rows, seed + n, scaled=True) for n in range(seeds)]
        words = "our ranker and features, fitted to `like` on reviews; Platt scaling on [T1, T2)"
        title = f"Ranker, {VARIANT_LABELS.get(variant, variant)}"
        found.append(Predicted(variant, "ours", title, words, [_probability(p) for p, _ in fitted], fitted[0][1]))
    return found


def fit_and_ask(
    config: ModelConfig, context: ModelContext, rows: LabelRows, seed: int, scaled: bool = False
) -> tuple[Floats, dict[str, Any]]:
    """(logits (n,) of the test rows, what validation chose); `scaled`: by a Platt scaling of the validation rows."""
    early, model, chosen = fit_twice(config, context, rows, seed)
    slope, shift = platt(early.logits(rows.validation).astype(np.float64), rows.validation.click)
    logits = model.logits(rows.test).astype(np.float64)
    return slope * logits + shift if scaled else logits, chosen


def fit_twice(
    config: ModelConfig, context: ModelContext, rows: LabelRows, seed: int
) -> tuple[Ranker, Ranker, dict[str, Any]]:
    """The ranker as fitted before T1, and before T2 with what [T1, T2) chose."""
    early, chosen = fit_once(config, context, rows.fit, rows.validation, seed)
    final, _ = fit_once(config.model_copy(update=chosen), context, rows.train, None, seed)
    return early, final, chosen


def fit_once(
    config: ModelConfig, context: ModelContext, rows: Examples, held_out: Examples | None, seed: int
) -> tuple[Ranker, dict[str, Any]]:
    """The ranker, and what the held-out rows chose; the generator of torch stays as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model: Ranker = make_model("ranker", config, context)
        return model, model.fit(rows, held_out, seed)


def _of_one(config: ModelConfig) -> ModelConfig:
    """Of a ranker of many outcomes the same one of a single label."""
    return config.alone(CLICK) if isinstance(config, MultiTaskConfig) else config


def _paced(config: ModelConfig, negatives: int) -> ModelConfig:
    """With as many steps an epoch as the click label takes for the same reviews, of a network."""
    size = getattr(config, "batch_size", None)
    return config.model_copy(update={"batch_size": max(2, size // (1 + negatives))}) if size else config


def _probability(logits: npt.NDArray[np.floating[Any]]) -> Floats:
    return np.asarray(expit(np.asarray(logits, np.float64)))
