"""The fits of models that are no networks: one task each."""

import math
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from llmrec.config.models import ModelConfig
from llmrec.features.dataset.rows import Examples, read_examples
from llmrec.models.base import Arrays, Model, ModelContext, Ranker
from llmrec.models.files.store import fit_data, make_model
from llmrec.models.retrievers.words.item_words import ItemWords, item_words
from llmrec.storage import Artifact, Storage
from llmrec.training.fit import Plan, load_context, role_of
from llmrec.variants import reads_text


@dataclass(frozen=True)
class Fitted:
    """A model as fitted on each fold: settings, those that validation chose among them, and arrays."""

    config: ModelConfig  # with what validation chose
    chosen: dict[str, Any]
    arrays: dict[str, Arrays]  # by fold


def fit_both_folds(key: str, config: ModelConfig, plan: Plan) -> Fitted:
    """Fit on fold `validation`, then anew, with the settings chosen there, on fold `test`."""
    assert plan.validation is not None
    early = make_model(role_of(key), config, load_context(plan.validation, plan.variant))
    chosen = fit_model(early, plan.validation, plan.seed, validate=True)
    config = config.model_copy(update=chosen)
    final = make_model(role_of(key), config, load_context(plan.test, plan.variant))
    fit_model(final, plan.test, plan.seed, validate=False)
    return Fitted(config, chosen, {"validation": early.state(), "test": final.state()})


def fit_model(model: Model, examples: Artifact, seed: int, validate: bool) -> dict[str, Any]:
    """Fit on the split train of a fold's examples; the settings that its validation rows chose."""
    context = model.context
    assert context is not None
    if isinstance(model, Ranker):
        rows = _rows(examples, "train", context)
        return model.fit(rows, _rows(examples, "validation", context) if validate else None, seed)
    data = fit_data(context, model, training_events(context, model), seed)
    if model.INFO.reads == "words":
        data = replace(data, words=partial(_words, examples, context))
    model.fit(data)  # type: ignore[attr-defined]
    return {}


def _words(examples: Artifact, context: ModelContext, review_words: int) -> ItemWords:
    """The words of a fold's items, as known at its cut-off; none where the variant reads no text."""
    ids = context.history.item_ids
    if not reads_text(context.variant):
        return ItemWords([[] for _ in ids], {})
    storage, made = Storage(examples.root.rsplit("/", 2)[0]), examples.manifest.parents["corpus"]
    corpus = storage.find("corpus", made)
    if corpus is None:
        raise FileNotFoundError(f"{examples.root}: its corpus {made} is gone; run `python -m jobs.ingest` again")
    return item_words(corpus, ids, math.ceil(context.spec.cutoff), review_words)


def training_events(context: ModelContext, model: Model) -> Any:
    """Rows of the events before the fold's cut-off; for a rater those with stars."""
    data = context.interactions
    rows = np.flatnonzero(data.time < context.spec.cutoff)
    return rows if model.ROLE == "retriever" else rows[np.isfinite(data.stars[rows])]


def _rows(examples: Artifact, split: str, context: ModelContext) -> Examples:
    return read_examples(examples, split, context.selection, context.history_length, with_ids=False)
