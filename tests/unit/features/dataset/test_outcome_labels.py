"""What came of a click, against a count by hand; none of it in the click's features, nor from behind a cut-off."""

from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from factories.features import START, T1, T2, World
from factories.outcomes import DAYS, followed

from llmrec.config.data.outcomes import TaskConfig
from llmrec.features.dataset.examples import example_table
from llmrec.features.dataset.labels import label_columns, labels_of
from llmrec.schema import DAY_MS
from llmrec.schema import Column as C

FEATURES = (C.USER_FEATURES, C.ITEM_FEATURES, C.PAIR_FEATURES, C.HISTORY, C.HISTORY_AGES)


def tables(world: World, fold: Any = "test") -> dict[str, pa.Table]:
    made = world.prepare(fold)
    return {clicks.split: example_table(made.history, made.spec, clicks) for clicks in made.clicks}


@pytest.fixture(scope="module")
def world() -> World:
    return followed()


def test_labels_are_what_followed_within_the_window_and_before_the_split_ends(world: World) -> None:
    by_split = tables(world)
    last = max(e[C.TIMESTAMP] for e in world.events) + 1
    for split, until in (("train", T2), ("test", last)):
        some = 0
        for row in by_split[split].to_pylist():
            end = row[C.TIMESTAMP] + DAYS * DAY_MS
            seen = [e for e in world.events if e[C.USER_ID] == row[C.USER_ID] and e[C.ITEM_ID] == row[C.ITEM_ID]
                    and row[C.TIMESTAMP] <= e[C.TIMESTAMP] < min(end, until)] * row[C.CLICK]  # fmt: skip
            for kind in ("share", "dwell"):
                happened = int(any(e[C.KIND] == kind for e in seen))
                assert row[f"happened_{kind}"] == (happened if end <= until else None)
            values = [e[C.VALUE] for e in seen if e[C.KIND] == "dwell"]
            assert row["value_dwell"] == (max(values) if values else None)
            some += len(values) == 2
        assert some > 5
        assert pa.compute.any(by_split[split]["happened_share"].is_null()).as_py(), "some windows are still open"


def test_a_validation_row_is_labelled_before_t2(world: World) -> None:
    rows = tables(world, "validation")["validation"].to_pylist()
    late = [r for r in rows if r[C.TIMESTAMP] + DAYS * DAY_MS > T2]
    assert late and all(r["happened_share"] is None for r in late)
    assert all(r[C.TIMESTAMP] >= T1 for r in rows)


def test_what_follows_a_click_is_in_none_of_its_features(world: World) -> None:
    """Without what followed them the clicks of one day have other labels, and the same features to the bit."""
    day = START + 60 * DAY_MS
    after = {(r[C.USER_ID], r[C.ITEM_ID]) for r in world.reviews if r[C.TIMESTAMP] == day}

    def stays(e: dict[str, Any]) -> bool:
        return e[C.KIND] == world.outcome or e[C.TIMESTAMP] < day or (e[C.USER_ID], e[C.ITEM_ID]) not in after

    kept = [e for e in world.events if stays(e)]
    made = world.prepare()
    other = replace(world, events=kept).prepare(fitted=made)
    train, without = (example_table(m.history, made.spec, m.clicks[0]) for m in (made, other))
    mine = np.flatnonzero(train[C.TIMESTAMP].to_numpy() == day)
    assert len(mine) > 2
    for name in FEATURES:
        assert train[name].take(mine).equals(without[name].take(mine)), name
    labels = [t["value_dwell"].take(mine).to_pylist() for t in (train, without)]
    assert any(v is not None for v in labels[0]) and all(v is None for v in labels[1])


def test_a_review_that_follows_is_the_like_of_what_was_clicked() -> None:
    """Where the outcome is no review, stars come from the review that is written within the window."""
    world = followed()
    purchases = [r | {C.REVIEW_ID: f"p{n}", C.TIMESTAMP: r[C.TIMESTAMP] - (n % 5) * DAY_MS, C.STARS: None, C.TEXT: ""}
                 for n, r in enumerate(world.reviews)]  # fmt: skip
    made = replace(world, reviews=[*world.reviews, *purchases]).prepare()
    outcomes = np.isnan(made.history.data.stars)
    object.__setattr__(made.history.data, "outcomes", outcomes)
    clicks = made.clicks[0]
    asked = clicks.take(np.flatnonzero(outcomes[clicks.events]))
    table = example_table(made.history, made.spec, asked)
    stars = {(r[C.USER_ID], r[C.ITEM_ID]): (r[C.TIMESTAMP], r[C.STARS]) for r in world.reviews}
    found = 0
    for row in table.filter(table[C.CLICK].to_numpy() == 1).to_pylist():
        written, given = stars[row[C.USER_ID], row[C.ITEM_ID]]
        expected = given if written < min(row[C.TIMESTAMP] + DAYS * DAY_MS, T2) else None
        assert row[C.STARS] == expected and row[C.LIKE] == (None if expected is None else int(expected >= 4))
        found += expected is not None
    assert 0 < found < len(asked.events)


def test_labels_are_read_by_name(world: World) -> None:
    batch = tables(world)["train"].to_batches()[0]
    tasks = [TaskConfig.model_validate(t) for t in ("click", "share", "dwell", {"dwell": {"at_least": 30}}, "stars")]
    found = labels_of(batch, tasks)
    value = np.array([np.nan if v is None else v for v in batch["value_dwell"].to_pylist()])
    decided = batch["happened_dwell"].is_valid().to_numpy(zero_copy_only=False)
    assert np.array_equal(found[:, 0], batch[C.CLICK].to_numpy())
    assert np.array_equal(np.isfinite(found[:, 1]), decided) and set(found[decided, 1]) == {0, 1}
    assert np.allclose(found[:, 2], np.log1p(value), equal_nan=True)
    assert np.array_equal(found[decided, 3] == 1, value[decided] >= 30) and np.isnan(found[~decided, 3]).all()
    assert np.isfinite(found[:, 4]).sum() == batch[C.STARS].is_valid().to_numpy(zero_copy_only=False).sum() > 0


def test_an_outcome_that_the_corpus_lacks_is_named_with_the_nearest(world: World) -> None:
    names = tables(world)["train"].schema.names
    with pytest.raises(ValueError, match=r"outcome 'sharing': .* nearest is 'share'; expected one of click, like"):
        label_columns([TaskConfig(kind="sharing")], names)
