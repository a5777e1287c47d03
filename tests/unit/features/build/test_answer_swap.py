"""The answer-swap check: honest features pass, and every planted way of knowing the answer is caught."""

import os
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
from factories.features import World

from llmrec.config import SplitConfig
from llmrec.features.asof.events import EntityEvents
from llmrec.features.asof.history import History
from llmrec.features.asof.interactions import AsOf
from llmrec.features.asof.logs.further_logs import FurtherLogs
from llmrec.features.build.answer_swap import SwapLeak, answer_swaps
from llmrec.features.build.plan import BuildInputs
from llmrec.features.dataset.spec import FeatureSpec
from llmrec.schema import DAY_MS
from llmrec.storage import Storage

FUTURE = 2**60


@dataclass(frozen=True)
class Made:
    inputs: BuildInputs
    spec: FeatureSpec
    history: History


def _made(world: World) -> Iterator[Made]:
    with tempfile.TemporaryDirectory() as folder, patch.object(os, "fsync"):
        prepared, storage = world.prepare(), Storage(f"{folder}/storage")
        corpus, embeddings = world.stored(storage)
        inputs = BuildInputs(storage, corpus, embeddings, world.settings, SplitConfig(), "test", "unused",
                             f"{folder}/scratch")  # fmt: skip
        yield Made(inputs, prepared.spec, prepared.history)


@pytest.fixture(scope="module")
def made() -> Iterator[Made]:
    yield from _made(World.random())


@pytest.fixture(scope="module")
def eventful() -> Iterator[Made]:
    """Purchases are the outcome, and lie among the events of many kinds."""
    yield from _made(World.eventful("purchase", exclude_seen=False))


def found(made: Made, moments: int = 1) -> list[SwapLeak]:
    with tempfile.TemporaryDirectory() as folder, patch.object(os, "fsync"):
        return list(answer_swaps(replace(made.inputs, scratch=folder), made.spec, made.history, moments))


def test_honest_features_do_not_know_the_answer(made: Made, eventful: Made) -> None:
    assert found(made, moments=3) == []
    assert found(eventful, moments=3) == []
    assert {"event_purchase_pair", "event_view_item", "user_attributes", "followed"} <= set(eventful.spec.families)


def pair_column(patch: pytest.MonkeyPatch, value: Callable[[History, Any, Any, int], float]) -> None:
    """A pair feature of a history, in place of the first pair column."""
    honest_items, honest_pairs, current = History.items_at, FeatureSpec.pair_features, list[History]()

    def items_at(self: History, *arguments: Any) -> Any:
        current[:] = [self]
        return honest_items(self, *arguments)

    def pair_features(self: FeatureSpec, users: Any, items: Any) -> Any:
        values = honest_pairs(self, users, items).copy()
        values[:, 0] = [value(current[0], u, i, t) for u, i, t in zip(users.rows, items.rows, users.times, strict=True)]
        return values

    patch.setattr(History, "items_at", items_at)
    patch.setattr(FeatureSpec, "pair_features", pair_features)


def had_by_now(patch: pytest.MonkeyPatch) -> None:
    """Did this user ever have this item by now? AUC 1.000, and neither words nor stars betray it."""

    def value(h: History, u: Any, i: Any, t: int) -> float:
        d = h.data
        return float(((d.user_rows == u) & (d.item_rows == i) & (d.times <= t)).any())

    pair_column(patch, value)


def same_day_companion(patch: pytest.MonkeyPatch) -> None:
    """How many others had the candidate on the very day."""

    def value(h: History, u: Any, i: Any, t: int) -> float:
        d = h.data
        return float(((d.item_rows == i) & (d.times // DAY_MS == t // DAY_MS)).sum())

    pair_column(patch, value)


def repeats_off_by_one(patch: pytest.MonkeyPatch) -> None:
    """How often the user had the candidate, its own event counted where it is a repeat."""

    def value(h: History, u: Any, i: Any, t: int) -> float:
        d = h.data
        return float(np.searchsorted(d.times[(d.user_rows == u) & (d.item_rows == i)], t, side="right"))

    pair_column(patch, value)


def snapshot_of_counts(patch: pytest.MonkeyPatch) -> None:
    """An item table of today: how much the item was reviewed, ever."""
    honest = History.items_at

    def leaky(self: History, rows: Any, times: Any) -> Any:
        return replace(honest(self, rows, times), count=honest(self, rows, np.full_like(times, FUTURE)).count)

    patch.setattr(History, "items_at", leaky)


def everything_off_by_one(patch: pytest.MonkeyPatch) -> None:
    honest = EntityEvents.span
    patch.setattr(EntityEvents, "span", lambda self, rows, times: honest(self, rows, times + 1))


def last_items_off_by_one(patch: pytest.MonkeyPatch) -> None:
    honest = History.users_at

    def leaky(self: History, rows: Any, times: Any, *contexts: Any) -> Any:
        seen = honest(self, rows, times + 1).history
        return replace(honest(self, rows, times, *contexts), history=seen)

    patch.setattr(History, "users_at", leaky)


def retriever_sees_now(patch: pytest.MonkeyPatch) -> None:
    honest = AsOf.histories
    patch.setattr(AsOf, "histories", lambda self, users, times: honest(self, users, times + 1))


def popularity_of_now(patch: pytest.MonkeyPatch) -> None:
    honest = AsOf.popularity
    patch.setattr(AsOf, "popularity", lambda self, times, days=None: honest(self, times + 1, days))


PLANTED = (
    had_by_now, same_day_companion, repeats_off_by_one, snapshot_of_counts, everything_off_by_one,
    last_items_off_by_one, retriever_sees_now, popularity_of_now,
)  # fmt: skip


@pytest.mark.parametrize("plant", PLANTED, ids=lambda plant: plant.__name__)
def test_a_planted_way_to_know_the_answer_is_caught(
    plant: Callable[[pytest.MonkeyPatch], None], made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(monkeypatch)
    leaks = found(made)
    assert leaks, f"the answer-swap check does not notice: {plant.__name__}"


def _now(patch: pytest.MonkeyPatch, name: str, later: int = 1) -> None:
    honest = getattr(FurtherLogs, name)
    patch.setattr(FurtherLogs, name, lambda self, *arguments: honest(self, *arguments[:-1], arguments[-1] + later))


def _snapshot(patch: pytest.MonkeyPatch) -> None:
    honest = History.items_at

    def leaky(self: History, rows: Any, times: Any) -> Any:
        return replace(honest(self, rows, times), events=honest(self, rows, np.full_like(times, FUTURE)).events)

    patch.setattr(History, "items_at", leaky)


@pytest.mark.parametrize("plant", ["stats", "recent", "taken", "snapshot"])
def test_events_of_now_are_caught(plant: str, eventful: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    _snapshot(monkeypatch) if plant == "snapshot" else _now(monkeypatch, plant)
    columns = {leak.column for leak in found(eventful, moments=3)}
    expected = {"stats": "purchase_user_events", "recent": "purchase_pair_events", "taken": "followed_took",
                "snapshot": "purchase_item_events"}  # fmt: skip
    assert expected[plant] in columns, f"the answer-swap check does not notice: {plant}: {sorted(columns)}"


def test_a_leak_says_row_column_and_value(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    had_by_now(monkeypatch)
    leaks = found(made)
    column = made.spec.pair_columns[0].name
    assert {leak.column for leak in leaks} == {column}
    own = [leak for leak in leaks if leak.change == "no review"]
    assert own and all((leak.value, leak.swapped) == (1, 0) for leak in own)
    said = str(own[0])
    assert own[0].user_id in said and own[0].item_id in said and repr(column) in said and "is 1, and 0 with no" in said


def test_a_corpus_that_cannot_be_checked_says_so() -> None:
    world = World.random(n_users=4, n_items=3, n_reviews=3)
    with tempfile.TemporaryDirectory() as folder, patch.object(os, "fsync"):
        prepared, storage = world.prepare(), Storage(f"{folder}/storage")
        corpus, embeddings = world.stored(storage)
        inputs = BuildInputs(storage, corpus, embeddings, world.settings, SplitConfig(), "test", "unused",
                             f"{folder}/scratch")  # fmt: skip
        with pytest.raises(ValueError, match="found no review to alter among 3"):
            list(answer_swaps(inputs, prepared.spec, prepared.history))
