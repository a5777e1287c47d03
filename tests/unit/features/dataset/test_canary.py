"""Promise 1: no feature sees the future or its own answer. Each planted leak must make a check below fail."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from factories.features import DEVICE, START, T1, T2, Prepared, World

from llmrec.config.features import SelectionConfig
from llmrec.features.asof.events import EntityEvents
from llmrec.features.asof.history import History
from llmrec.features.dataset import spec as spec_module
from llmrec.features.dataset.examples import example_table
from llmrec.features.dataset.folds import FitRows, Fold
from llmrec.features.dataset.spec import FeatureSpec
from llmrec.features.families import collaborative
from llmrec.features.transforms import autoencoder
from llmrec.features.transforms.reduction import to_arrays
from llmrec.features.transforms.scaling import Scaler
from llmrec.schema import DAY_MS
from llmrec.schema import Column as C

SIDES = ("user", "item", "pair")
Key = tuple[str, int, str, str]  # user, time, item of the click, item of the row
#: Made from the item table, the clock and the request: nothing that people write or do changes them.
STATIC = {"context", "item_price", "item_attributes", "text_item_description", "vector_image_item",
          "context_columns"}  # fmt: skip


@dataclass(frozen=True)
class Rows:
    """Example rows: where each lies, and its features by family, (n, columns) each."""

    place: dict[Key, int]
    families: dict[str, np.ndarray]

    def keep(self, wanted: Callable[[Key], bool]) -> "Rows":
        return Rows({k: n for k, n in self.place.items() if wanted(k)}, self.families)


def rows_of(prepared: Prepared) -> Rows:
    """Every example row, with its features by family, its history and its vocabulary indices."""
    spec = prepared.spec
    table = pa.concat_tables([example_table(prepared.history, spec, group) for group in prepared.clicks])
    users, items = table[C.USER_ID].to_pylist(), table[C.ITEM_ID].to_pylist()
    queries, times = table[C.QUERY_ID].to_pylist(), table[C.TIMESTAMP].to_pylist()
    clicked = {q: i for q, i, click in zip(queries, items, table[C.CLICK].to_pylist(), strict=True) if click}
    keys = zip(users, times, (clicked[q] for q in queries), items, strict=True)
    families = {
        C.HISTORY: np.stack(table[C.HISTORY].to_numpy()),
        C.HISTORY_AGES: np.stack(table[C.HISTORY_AGES].to_numpy()),
        "idx": np.column_stack([table[C.USER_IDX], table[C.ITEM_IDX]]),
    }
    columns = {"user": spec.user_columns, "item": spec.item_columns, "pair": spec.pair_columns}
    for side in SIDES:
        values = np.stack(table[f"{side}_features"].to_numpy())
        for family in {c.family for c in columns[side]}:
            families[family] = values[:, [c.family == family for c in columns[side]]]
    return Rows({key: n for n, key in enumerate(keys)}, families)


def differing(before: Rows, after: Rows) -> set[str]:
    """Families that differ, bit by bit, in any row of `before`; `rows` where one is gone."""
    shared = [k for k in before.place if k in after.place]
    old, new = ([rows.place[k] for k in shared] for rows in (before, after))
    changed = {f for f, v in before.families.items() if not np.array_equal(v[old], after.families[f][new])}
    return changed | ({"rows"} if len(shared) < len(before.place) else set())


def until(rows: Rows, time: int) -> Rows:
    """Rows at or before `time`."""
    return rows.keep(lambda key: key[1] <= time)


def until_without(rows: Rows, click: Key) -> Rows:
    """Rows at or before a click, without its own, and of its user at that very time the clicks alone: by the design
    an item reviewed at t is no negative at t, so those negatives may be other ones."""
    return until(rows, click[1]).keep(lambda key: key[:3] != click[:3] and (key[:2] != click[:2] or key[2] == key[3]))


def after(rows: Rows, time: int) -> Rows:
    return rows.keep(lambda key: key[1] > time)


def targets(world: World) -> list[dict[str, Any]]:
    """Reviews in the middle of training that tie in time with others of their user or item."""
    middle = [r for r in world.reviews if START + 15 * DAY_MS < r[C.TIMESTAMP] < START + 45 * DAY_MS]
    times = [(r[key], r[C.TIMESTAMP]) for r in world.reviews for key in (C.USER_ID, C.ITEM_ID)]
    tied = [r for r in middle if max(times.count((r[key], r[C.TIMESTAMP])) for key in (C.USER_ID, C.ITEM_ID)) > 1]
    assert len(tied) >= 4, "the world has no ties: equal times would not be tested"
    return tied[:4]


def own_key(review: dict[str, Any]) -> Key:
    return (review[C.USER_ID], review[C.TIMESTAMP], review[C.ITEM_ID], review[C.ITEM_ID])


def own_answer_leaks(world: World) -> Iterator[str]:
    """Families of rows at or before a review's time that its words, stars, time or ids change."""
    base = world.prepare()
    before = rows_of(base)
    for review in targets(world):
        name, time = review[C.REVIEW_ID], review[C.TIMESTAMP]
        values = {C.TEXT: "canaryzq " + review[C.TEXT], C.STARS: review[C.STARS] % 5 + 1}
        changed = rows_of(world.changed(name, **values).prepare(fitted=base))
        yield from differing(until(before, time), changed)
        free = next(i[C.ITEM_ID] for i in world.items if not pair_exists(world, review[C.USER_ID], i[C.ITEM_ID]))
        moved = {C.TIMESTAMP: time + 9 * DAY_MS}
        for other in (world.changed(name, **moved), world.changed(name, item_id=free), world.without(name)):
            changed = rows_of(other.prepare(fitted=base))
            yield from differing(until_without(before, own_key(review)), changed)


def pair_exists(world: World, user: str, item: str) -> bool:
    return any(r[C.USER_ID] == user and r[C.ITEM_ID] == item for r in world.reviews)


def in_fold_scores(world: World) -> set[str]:
    """Whether a review moves a collaborative score at or before its own time, when all is fitted anew."""
    base = world.prepare()
    data, leaks = base.history.data, set()
    pairs = (data.user_rows, data.item_rows, data.times)
    before = scores_of(base, *pairs)
    for review in targets(world):
        others = world.without(review[C.REVIEW_ID]).prepare()
        rows = others.history.user_rows([base.history.user_ids[r] for r in pairs[0]])
        items = others.history.item_rows([base.history.item_ids[r] for r in pairs[1]])
        early = data.times <= review[C.TIMESTAMP]
        if not np.array_equal(before[early], scores_of(others, rows, items, pairs[2])[early]):
            leaks.add("collaborative")
    return leaks


def scores_of(prepared: Prepared, users: np.ndarray, items: np.ndarray, times: np.ndarray) -> np.ndarray:
    history = prepared.history
    return prepared.spec.learned.collaborative(history.users_at(users, times), history.items_at(items, times))


def _arrays_of(scaler: Scaler) -> list[tuple[str, np.ndarray]]:
    return [(f.name, getattr(scaler, f.name)) for f in fields(scaler)]


def fitted_of(prepared: Prepared) -> dict[str, Any]:
    """All that was learned, vocabularies by id."""
    history, spec = prepared.history, prepared.spec
    state: dict[str, Any] = {
        "users": [i for row, i in enumerate(history.user_ids) if spec.user_idx(np.array([row]))[0]],
        "items": [i for row, i in enumerate(history.item_ids) if spec.item_idx(np.array([row]))[0]],
        "attributes": spec.learned.attribute_names,
        "contexts": spec.learned.context_names,
        "ranking": spec.ranking,
        "kept": None if spec.kept is None else [getattr(spec.kept, side).tolist() for side in SIDES],
    }
    for side, scaler in spec.scalers.items():
        state |= {f"{side}.{k}": v.tobytes() for k, v in _arrays_of(scaler)}
    reductions = {k: v.tobytes() for k, v in to_arrays(history.reductions).items()}
    assert {name.partition(".")[0] for name in reductions} == {"text", "sequence", "vector_image"}
    scores = {
        k: v.tobytes() for k, v in collaborative.to_arrays(spec.learned.collaborative).items() if "items" not in k
    }
    return state | scores | reductions


def fit_leaks(world: World) -> Iterator[str]:
    """What is learned, or holds in training rows, and changes with a validation or a test row."""
    folds: tuple[tuple[Fold, int], ...] = (("validation", T1), ("test", T2))
    for fold, cutoff in folds:
        base = world.prepare(fold)
        learned, training = fitted_of(base), until(rows_of(base), cutoff - 1)
        held_out = [r for r in world.reviews if r[C.TIMESTAMP] >= cutoff][:1]
        for review in held_out:
            for values in (  # what was said and when, and by whom of what
                {C.TEXT: "canaryzq " + review[C.TEXT], C.STARS: review[C.STARS] % 5 + 1, DEVICE: "watch",
                 C.TIMESTAMP: review[C.TIMESTAMP] + 3 * DAY_MS},
                {C.USER_ID: "a-newcomer", C.ITEM_ID: "a-new-item"},
            ):  # fmt: skip
                other = world.changed(review[C.REVIEW_ID], **values).prepare(fold)
                yield from (k for k, v in fitted_of(other).items() if v != learned[k])
                yield from differing(training, rows_of(other))


@pytest.fixture(scope="module")
def world() -> World:
    return World.random()


def test_a_review_changes_nothing_at_or_before_its_time(world: World) -> None:
    assert set(own_answer_leaks(world)) == set()


def test_collaborative_scores_are_out_of_fold(world: World) -> None:
    assert in_fold_scores(world) == set()


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {
            "include": ("user_stars", "item_popularity", "collaborative", "text_user_profile"),
            "normalisation": "power",
            "text_reduction": "random",
            "collaborative": ("ials",),
            "collaborative_blocks": 2,
        },
        {"text_reduction": "autoencoder", "include": ("text_*", "vector_*")},
        {"normalisation": "quantile", "selection": SelectionConfig(method="f_score", budget=20)},
    ],
)
def test_held_out_rows_change_nothing_that_is_fitted(
    world: World, changes: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(autoencoder, "MIN_STEPS", 20)  # what it is fitted on is asked, not how well
    assert set(fit_leaks(replace(world, settings=world.settings.model_copy(update=changes)))) == set()


def test_the_canary_sings_later(world: World) -> None:
    """The positive control: a changed word, or a removed review, moves every family that people's doings feed."""
    base = world.prepare()
    before, words, doings = rows_of(base), set(), set()
    for review in targets(world):
        name, time = review[C.REVIEW_ID], review[C.TIMESTAMP]
        spoken = world.changed(name, text="canaryzq " + review[C.TEXT])
        words |= differing(after(before, time), rows_of(spoken.prepare(fitted=base)))
        doings |= differing(after(before, time), rows_of(world.without(name).prepare(fitted=base)))
    families = set(base.spec.families) - STATIC
    assert words == {f for f in families if f.startswith("text")} - {"text_user_sequence"}  # told by titles alone
    assert families <= doings


def test_a_context_is_that_of_its_own_request_alone(world: World) -> None:
    base = world.prepare()
    before = rows_of(base)
    for review in targets(world):
        device = "mobile" if review[DEVICE] != "mobile" else "web"
        changed = rows_of(world.changed(review[C.REVIEW_ID], **{DEVICE: device}).prepare(fitted=base))
        places = before.place.items()
        mine = {k for k, _ in places if k[:3] == own_key(review)[:3]}
        own, others = (
            Rows({k: n for k, n in places if (k in mine) == wanted}, before.families) for wanted in (True, False)
        )
        assert differing(own, changed) == {"context_columns"}
        assert differing(others, changed) == set()


@pytest.mark.parametrize("seed", range(3))
def test_the_future_may_be_anything(seed: int) -> None:
    """Shuffled words, stars and times after a moment, and events added there, change nothing before it."""
    world, rng = World.random(seed=seed + 10), np.random.default_rng(seed)
    base, moment = world.prepare(), START + 40 * DAY_MS
    later = [k for k, r in enumerate(world.reviews) if r[C.TIMESTAMP] > moment]
    reviews = list(world.reviews)
    for k, source in zip(later, rng.permutation(later).tolist(), strict=True):
        moved = {n: world.reviews[source][n] for n in (C.TEXT, C.STARS, C.TIMESTAMP)}
        reviews[k] = reviews[k] | moved
    pairs = [(u[C.USER_ID], i[C.ITEM_ID]) for u in world.reviews for i in world.items]
    free = next(p for p in pairs if not pair_exists(world, *p))
    added = reviews[0] | {C.REVIEW_ID: "new", C.USER_ID: free[0], C.ITEM_ID: free[1], C.TIMESTAMP: moment + 1}
    changed = rows_of(replace(world, reviews=[*reviews, added]).prepare(fitted=base))
    assert differing(until(rows_of(base), moment), changed) == set()


def leak_target_in(side: str) -> Callable[[pytest.MonkeyPatch], None]:
    """Text profiles that include the events of the query's own time, the target review among them."""

    def plant(patch: pytest.MonkeyPatch) -> None:
        honest = getattr(History, f"{side}s_at")

        def leaky(self: History, rows: Any, times: Any, *contexts: Any) -> Any:
            return replace(honest(self, rows, times, *contexts), text=honest(self, rows, times + 1).text)

        patch.setattr(History, f"{side}s_at", leaky)

    return plant


def leak_equal_times(patch: pytest.MonkeyPatch) -> None:
    honest = EntityEvents.span
    patch.setattr(EntityEvents, "span", lambda self, rows, times: honest(self, rows, times + 1))


def leak_snapshot_stars(patch: pytest.MonkeyPatch) -> None:
    honest = History.items_at

    def leaky(self: History, rows: Any, times: Any) -> Any:
        return replace(honest(self, rows, times), stars=honest(self, rows, np.full_like(times, 2**60)).stars)

    patch.setattr(History, "items_at", leaky)


def _users_see_their_own_time(patch: pytest.MonkeyPatch, field: str) -> None:
    honest = History.users_at

    def leaky(self: History, rows: Any, times: Any, *contexts: Any) -> Any:
        seen = getattr(honest(self, rows, times + 1), field)
        return replace(honest(self, rows, times, *contexts), **{field: seen})

    patch.setattr(History, "users_at", leaky)


def leak_target_in_sequence(patch: pytest.MonkeyPatch) -> None:
    _users_see_their_own_time(patch, "history")


def leak_target_in_sequence_text(patch: pytest.MonkeyPatch) -> None:
    """The text of the user's last event at the query's own time, which names the target."""
    _users_see_their_own_time(patch, "sequence")


def leak_target_in_vectors(patch: pytest.MonkeyPatch) -> None:
    """The mean image of the user's items, that of the query's own time among them."""
    _users_see_their_own_time(patch, "vectors")


def leak_contexts_of_test_rows(patch: pytest.MonkeyPatch) -> None:
    honest = spec_module.most_frequent

    def leaky(codes: Any, names: Any, size: int) -> Any:
        return honest(codes, names, size) if codes.shape[1] != 1 else (np.array(sorted(names)), tuple(names.values()))

    patch.setattr(spec_module, "most_frequent", leaky)


def leak_reduction_of_unknown_items(patch: pytest.MonkeyPatch) -> None:
    """Reductions fitted on every review and item, those that nobody knew before the cut-off among them."""
    honest = FitRows.of
    patch.setattr(FitRows, "of", lambda data, items, until: honest(data, items, 2**60))


def leak_scaler_on_all_rows(patch: pytest.MonkeyPatch) -> None:
    honest = FeatureSpec._fit_scalers

    def leaky(self: FeatureSpec, history: History, training: Any) -> None:
        data = history.data
        honest(self, history, spec_module.Pairs(data.user_rows, data.item_rows, data.times))

    patch.setattr(FeatureSpec, "_fit_scalers", leaky)


def leak_collaborative_in_fold(patch: pytest.MonkeyPatch) -> None:
    """Every block's model is fitted on all of training, the scored rows among it."""
    honest = collaborative.fit_before

    def leaky(settings: Any, data: Any, start: int) -> Any:
        return replace(honest(settings, data, T2), start=start)

    patch.setattr(collaborative, "fit_before", leaky)


def leak_vocabulary_of_test_rows(patch: pytest.MonkeyPatch) -> None:
    honest = spec_module.vocabulary
    patch.setattr(spec_module, "vocabulary", lambda rows, times, cutoff: honest(rows, times, 2**60))


OWN_ANSWER = {
    "target review in the user's profile": leak_target_in("user"),
    "target review in the item's profile": leak_target_in("item"),
    "equal time counted as seen": leak_equal_times,
    "snapshot mean stars": leak_snapshot_stars,
    "sequence including the target": leak_target_in_sequence,
    "sequence text including the target": leak_target_in_sequence_text,
    "target item in the user's mean vector": leak_target_in_vectors,
}
FITTED = {
    "scaler fitted on all rows": leak_scaler_on_all_rows,
    "vocabulary from test rows": leak_vocabulary_of_test_rows,
    "reduction fitted on all rows": leak_reduction_of_unknown_items,
    "values of contexts from test rows": leak_contexts_of_test_rows,
}


@pytest.mark.parametrize("name", OWN_ANSWER)
def test_a_planted_leak_of_the_answer_is_caught(name: str, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    OWN_ANSWER[name](monkeypatch)
    assert next(own_answer_leaks(world), None), f"the canary does not notice: {name}"


def test_a_planted_score_in_fold_is_caught(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    leak_collaborative_in_fold(monkeypatch)
    assert in_fold_scores(world), "the canary does not notice: collaborative score in fold"


@pytest.mark.parametrize("name", FITTED)
def test_a_planted_leak_of_held_out_rows_is_caught(name: str, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    FITTED[name](monkeypatch)
    assert next(fit_leaks(world), None), f"the canary does not notice: {name}"
