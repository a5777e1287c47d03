"""Baselines of the click table, fitted on the same rows before T2 and asked about the same test rows.

They carry the names of the ranking's baselines, so that one list chooses both.
"""

import logging
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from llmrec.evaluation.ablation.family_fits import click_model
from llmrec.evaluation.ablation.family_rows import SIDES, StudyRows, all_columns, values_of_rows
from llmrec.evaluation.baselines.neural import Mlp, epoch
from llmrec.evaluation.data.interactions import Floats, Interactions
from llmrec.evaluation.data.profiles import Profiles, Vectors, reduced
from llmrec.evaluation.labels.clicks import ORDER, ClickRows, Predicted
from llmrec.evaluation.labels.metrics import Bools, click_loss
from llmrec.schema import Column as C
from llmrec.storage import Artifact
from llmrec.variants import TEXT_PREFIX

logger = logging.getLogger(__name__)
_TEXT_DIM, _DIM, _EPOCHS = 32, 16, 15


@dataclass(frozen=True)
class ClickData:
    """What the baselines see: the corpus's events, labelled rows apart by time, and the reviews' vectors, if any."""

    data: Interactions
    examples: Artifact
    fit: ClickRows  # before T1
    validation: ClickRows  # [T1, T2)
    test: ClickRows
    vectors: Vectors | None
    seed: int

    @classmethod
    def read(cls, examples: Artifact, data: Interactions, vectors: Vectors | None, seed: int) -> "ClickData":
        train, t1 = ClickRows.read(examples, data, "train"), examples.manifest.info["t1"]
        early, test = train.time < t1, ClickRows.read(examples, data)
        return cls(data, examples, train.take(early), train.take(~early), test, vectors, seed)

    @property
    def before_t2(self) -> ClickRows:
        parts = [(getattr(self.fit, n), getattr(self.validation, n)) for n in ("user", "item", "time", "label")]
        return ClickRows(*(np.concatenate(p) for p in parts))

    @cached_property
    def study_rows(self) -> StudyRows:
        return StudyRows.read(self.examples, all_columns(self.examples))

    @property
    def measurable(self) -> bool:
        """Whether there are clicks and others to learn from and to choose by."""
        return all(0 < rows.label.sum() < len(rows) for rows in (self.fit, self.validation))


def click_rivals(rows: ClickData, names: Collection[str]) -> list[Predicted]:
    """Those of RIVALS that `names` holds; without vectors none on text."""
    if not rows.measurable:
        logger.warning("clicks: rows of one label only before T2; no baselines")
        return []
    found = []
    for name, (make, label, description) in RIVALS.items():
        if name in names and not (rows.vectors is None and "text" in name):
            logger.info("clicks: %s", name)
            probability, settings, trials = make(rows)
            found.append(Predicted(name, "baseline", label, description, [probability], settings, trials))
    return found


Answer = tuple[Floats, dict[str, Any], int | None]


def _popularity(rows: ClickData) -> Answer:
    """Calibrated on the validation rows alone: it has nothing else to learn."""
    events = Profiles(rows.data, rows.data.item, rows.data.n_items, np.ones((len(rows.data), 1), np.float32))

    def log_share(part: ClickRows) -> Floats:
        """Of all events before t: counts grow with time, and a calibration would drift with them."""
        everybody = np.searchsorted(rows.data.time, part.time)
        return np.asarray(np.log1p(events.at(part.item, part.time)[1]) - np.log1p(everybody))[:, None]

    model = LogisticRegression(C=1e3).fit(log_share(rows.validation), rows.validation.label)
    return model.predict_proba(log_share(rows.test))[:, 1], {}, None


def _text_logistic(rows: ClickData) -> Answer:
    """C is chosen on the validation rows; the final fit sees them too."""

    def fitted(train: ClickRows, settings: dict[str, float], asked: ClickRows) -> Floats:
        describe = _text_profiles(rows, int(train.time.max()) + 1)
        model = make_pipeline(StandardScaler(), LogisticRegression(**settings, max_iter=500))
        return np.asarray(model.fit(describe(train), train.label).predict_proba(describe(asked))[:, 1])

    grid = [{"C": c} for c in (0.0001, 0.001, 0.01, 0.1)]
    losses = [_loss(rows.validation.label, fitted(rows.fit, s, rows.validation)) for s in grid]
    best = grid[int(np.argmin(losses))]
    return fitted(rows.before_t2, best, rows.test), dict(best), len(grid)


def _text_profiles(rows: ClickData, before: int) -> Callable[[ClickRows], Floats]:
    """Rows -> (n, 3 · dim + 1): user's and item's profile as of t, their product, their cosine; reduced by the texts
    before `before` (ms)."""
    data = rows.data
    assert rows.vectors is not None
    small = reduced(rows.vectors, np.flatnonzero(data.time < before), _TEXT_DIM, rows.seed)
    users, items = Profiles(data, data.user, data.n_users, small), Profiles(data, data.item, data.n_items, small)

    def describe(part: ClickRows) -> Floats:
        u, i = users.at(part.user, part.time)[0], items.at(part.item, part.time)[0]
        norms = np.linalg.norm(u, axis=1) * np.linalg.norm(i, axis=1) + 1e-9
        return np.concatenate([u, i, u * i, ((u * i).sum(axis=1) / norms)[:, None]], axis=1)

    return describe


def _boosted(with_text: bool) -> Callable[[ClickData], Answer]:
    def answer(rows: ClickData) -> Answer:
        """Trees stopped by the validation rows, then as many fitted on all rows before T2."""
        study = rows.study_rows
        kept = [with_text or not c.family.startswith(TEXT_PREFIX) for c in study.columns]
        places = np.flatnonzero(kept)
        fit, held = study.fit.values[:, places], study.validation.values[:, places]
        with threadpool_limits(1, "openmp"):
            stopped = click_model(rows.seed).fit(fit, study.fit.click, X_val=held, y_val=study.validation.click)
            model = click_model(rows.seed).set_params(early_stopping=False, max_iter=stopped.n_iter_)
            model.fit(np.concatenate([fit, held]), np.concatenate([study.fit.click, study.validation.click]))
            probability = _predicted(rows.examples, lambda values: model.predict_proba(values[:, places])[:, 1])
        return probability, {"trees": stopped.n_iter_}, None

    return answer


def _predicted(examples: Artifact, predict: Callable[[npt.NDArray[np.float32]], Floats]) -> Floats:
    """(n,) of the test rows in the order of `ClickRows`, a record batch in memory at a time."""
    keys = [name for name, _ in ORDER]
    scanner = examples.dataset("examples").scanner(columns=[*keys, *SIDES], filter=pc.field(C.SPLIT) == "test")
    parts = []
    for batch in scanner.to_batches():
        table = pa.Table.from_batches([batch])
        if len(table):
            parts.append(table.select(keys).append_column("p", pa.array(predict(values_of_rows(table)), pa.float64())))
    return np.asarray(pa.concat_tables(parts).sort_by(ORDER)["p"].to_numpy())


def _ncf(rows: ClickData) -> Answer:
    """The number of epochs is chosen on the validation rows; ids that training never saw are all zeros."""
    losses: list[float] = []
    _fit_ids(rows, rows.fit, _EPOCHS, lambda ask: losses.append(_loss(rows.validation.label, ask(rows.validation))))
    epochs = int(np.argmin(losses)) + 1
    ask = _fit_ids(rows, rows.before_t2, epochs, lambda ask: None)
    return ask(rows.test), {"epochs": epochs}, _EPOCHS


Ask = Callable[[ClickRows], Floats]


def _fit_ids(rows: ClickData, train: ClickRows, epochs: int, after: Callable[[Ask], None]) -> Ask:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(rows.seed)
        model = Mlp(rows.data.n_users, rows.data.n_items, _DIM)
        for table, ids in ((model.user, train.user), (model.item, train.item)):
            unseen = np.setdiff1d(np.arange(table.num_embeddings), ids)
            table.weight.data[torch.from_numpy(unseen)] = 0
        optimizer, rng = (
            torch.optim.AdamW(model.parameters(), 3e-3, weight_decay=0.01),
            np.random.default_rng(rows.seed),
        )
        label = train.label.astype(np.float32)

        @torch.inference_mode()
        def ask(part: ClickRows) -> Floats:
            logits = model(torch.from_numpy(part.user), torch.from_numpy(part.item))
            return np.asarray(torch.sigmoid(logits).numpy(), np.float64)

        for _ in range(epochs):
            epoch(model, optimizer, train.user, train.item, label, rng)
            after(ask)
    return ask


def _loss(label: Bools, probability: Floats) -> float:
    return float(click_loss(label, probability).mean())


#: name -> how, what readers see, and in words.
RIVALS: dict[str, tuple[Callable[[ClickData], Answer], str, str]] = {
    "popularity": (_popularity, "Popularity", "logistic regression on the log share of events before t, validation "
                   "rows alone"),
    "text_logistic": (_text_logistic, "Logistic regression on text", "on the frozen text profiles of user and item as "
                      "of t, their product and cosine"),
    "ncf": (_ncf, "NCF (MLP on ids)", "an MLP over user and item embeddings, fitted on the click rows"),
    "boosted": (_boosted(False), "Boosted trees, without text", "gradient-boosted trees over our features save those "
                "from words; collaborative scores out of fold by time"),
    "boosted_text": (_boosted(True), "Boosted trees, our features", "gradient-boosted trees over the columns that our "
                     "ranker reads; collaborative scores out of fold by time"),
}  # fmt: skip
