"""SASRec and HSTU see what came before and nothing else, in training as in requests; they learn orders and words."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from factories.features import START, World, encode
from factories.training import Folds, folds

from llmrec.config import FeaturesConfig
from llmrec.features.dataset.rows import Shard
from llmrec.models.base import ModelContext, Requests
from llmrec.models.networks.epochs import FitState, fit_here, run_epochs
from llmrec.models.retrieval import retrieve
from llmrec.models.retrievers.sequential.hstu import HstuRetriever
from llmrec.models.retrievers.sequential.net import SequenceNet
from llmrec.models.retrievers.sequential.retriever import SequenceRetriever
from llmrec.models.retrievers.sequential.sasrec import SasrecConfig, SasrecRetriever
from llmrec.models.retrievers.sequential.sequences import SequenceReader
from llmrec.models.retrievers.sequential.windows import SequenceWindows
from llmrec.schema import DAY_MS
from llmrec.schema import Column as C
from llmrec.threads import one_torch_thread
from llmrec.training.fit import dump, load_context, parse
from llmrec.workers.process_group import ProcessGroup

SMALL: dict[str, Any] = {"dim": 16, "batch_size": 16, "sampled_negatives": 16, "dropout": 0.0}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Folds:
    return folds(tmp_path_factory.mktemp("sasrec"), World.random(n_reviews=330))


@pytest.fixture(scope="module")
def context(made: Folds) -> ModelContext:
    return load_context(made.validation, "text")


def fitted(
    made: Folds, variant: str = "text", kind: type[SequenceRetriever] = SasrecRetriever, **settings: Any
) -> SequenceRetriever:
    torch.manual_seed(1)
    config = kind.Config(**SMALL | settings)
    model = kind(config, load_context(made.validation, variant))
    with one_torch_thread():
        fit_here(model.fit_task(made.validation, ProcessGroup(), False), config, 1, False)
    return model


@pytest.mark.parametrize("world", [1, 3])
def test_every_event_that_could_be_asked_for_is_predicted_once_from_what_came_before(
    context: ModelContext, world: int
) -> None:
    history, cutoff, length = context.history, context.spec.cutoff, context.history_length
    reader, found = SequenceReader(context), []
    for rank in range(world):
        windows = SequenceWindows(context, reader, Shard(rank, world))
        shown, targets = windows.sequences(slice(0, len(windows))), windows.targets
        for window, place, item, time in zip(targets.window, targets.place, targets.items, targets.times, strict=True):
            seen = shown.items[window, : place + 1]
            user = int(windows.users[window])
            past = history.seen(user, int(time))
            some = seen[seen > 0]
            assert some.tolist() == past[-len(some) :].tolist() and len(some) >= min(len(past), length // 2)
            assert shown.until[window, place] == time
            found.append((user, int(item), int(time)))
    wanted = {(u, i, t) for u, i, t in events_of(context) if t < cutoff and history.known_since[i] < t
              and len(history.seen(u, t)) and i not in history.seen(u, t)}  # fmt: skip
    assert sorted(found) == sorted(wanted) and len(wanted) > 50


def events_of(context: ModelContext) -> set[tuple[int, int, int]]:
    data = context.history.data
    return set(zip(data.user_rows.tolist(), data.item_rows.tolist(), data.times.tolist(), strict=True))


def test_a_request_reads_what_a_training_event_at_its_time_reads(context: ModelContext) -> None:
    reader, length = SequenceReader(context), context.history_length
    windows = SequenceWindows(context, reader, Shard())
    shown, targets = windows.sequences(slice(0, len(windows))), windows.targets
    last = np.flatnonzero(targets.place == length - 1)
    users = windows.users[targets.window[last]]
    asked = reader.of_states(context.history.users_at(users, targets.times[last]))
    same = [n for n, k in enumerate(last) if (asked.items[n] == shown.items[targets.window[k]]).all()]
    assert len(same) > 10
    for n in same:
        for name in ("items", "idx", "texts", "reviews", "real", "times"):
            assert np.array_equal(getattr(asked, name)[n], getattr(shown, name)[targets.window[last[n]]]), name
        assert asked.until[n, -1] == shown.until[targets.window[last[n]], -1]


@pytest.mark.parametrize(
    ("kind", "positions"),
    [*((SasrecRetriever, p) for p in ("learned", "sinusoidal", "rotary", "none")), (HstuRetriever, "learned")],
)
def test_no_place_sees_a_later_one_nor_the_padding(kind: type[SequenceRetriever], positions: Any) -> None:
    torch.manual_seed(0)
    net = SequenceNet(kind.Config(dim=8, positions=positions), kind.block, 9, 3, 6).eval()
    torch.nn.init.normal_(net.blocks[0].ages.weight)
    idx, real = torch.tensor([[0, 0, 4, 2, 7, 5]]), torch.tensor([[False, False, True, True, True, True]])
    texts, reviews = torch.randn(1, 6, 6), torch.randn(1, 6, 3)
    times = torch.tensor([[0.0, 0, 0, 30, 30, 400]])
    until = torch.tensor([[0.0, 0, 30, 30, 400, 4000]])
    whole = net.user_vectors(idx, texts, reviews, real, times, until)
    later = [x.clone() for x in (idx, texts, reviews, times, until)]
    later[0][0, 5], later[1][0, 5], later[2][0, 5], later[4][0, 5] = 1, 2.0, 3.0, 90_000
    changed = net.user_vectors(later[0], later[1], later[2], real, later[3], later[4])
    assert torch.equal(whole[:, :5], changed[:, :5]) and not torch.allclose(whole[:, 5], changed[:, 5])
    cropped = net.user_vectors(*(x[:, 2:] for x in (idx, texts, reviews, real, times, until)))
    if positions != "rotary":  # which knows distances alone, so that the crop changes nothing there either
        assert torch.allclose(whole[:, 2:], cropped, atol=1e-5)
    assert torch.allclose(whole[:, 2:], cropped, atol=1e-4)


def walks(n_users: int = 30, n_items: int = 12) -> World:
    """Each user takes item after item, a day or two apart, beginning anywhere."""
    rng = np.random.default_rng(0)
    rows = []
    for user in range(n_users):
        first, begin = int(rng.integers(n_items)), int(rng.integers(60))
        rows += [(user, (first + step) % n_items, begin + 2 * step) for step in range(8)]
    reviews = [
        {C.REVIEW_ID: f"r{u}-{i}", C.USER_ID: f"u{u:03d}", C.ITEM_ID: f"i{i:03d}", C.TIMESTAMP: START + day * DAY_MS,
         C.STARS: None, C.TITLE: None, C.TEXT: ""} for u, i, day in rows
    ]  # fmt: skip
    empty = dict.fromkeys((C.DESCRIPTION, C.BRAND, C.PRICE, C.CATEGORIES))
    items = [{C.ITEM_ID: f"i{k:03d}", C.TITLE: "", C.AVAILABLE_FROM: START - DAY_MS, **empty} for k in range(n_items)]
    settings = FeaturesConfig(text=False, history_length=5, popularity_days=(30.0,), collaborative=())
    return World(reviews, items, settings)


@pytest.mark.parametrize(
    ("kind", "positions"), [(SasrecRetriever, "learned"), (SasrecRetriever, "rotary"), (HstuRetriever, "none")]
)
def test_it_learns_what_follows_what(kind: type[SequenceRetriever], positions: str, tmp_path: Path) -> None:
    model = fitted(folds(tmp_path, walks()), "no_text", kind, positions=positions, epochs=25, learning_rate=0.01)
    data, cutoff = model.context.history.data, model.context.spec.cutoff
    late = np.flatnonzero(data.times >= cutoff)
    users, times = data.user_rows[late], data.times[late]
    states = model.context.history.users_at(users, times)
    some = np.flatnonzero(states.count > 0)
    found, _ = retrieve(model, Requests(users, times, model.context.as_of, states).take(some), 1)
    assert len(some) > 30 and (found[:, 0] == data.item_rows[late][some]).mean() > 0.9


def colours() -> World:
    """Red users take red items, blue ones blue; one item of each colour is listed, and nobody has had it."""
    rng = np.random.default_rng(1)
    words = [("red", "warm", "ember"), ("blue", "cold", "frost")]
    pairs = [(u, i) for u in range(24) for i in range(20) if (u + i) % 2 == 0 and rng.random() < 0.6]
    reviews = [
        {C.REVIEW_ID: f"r{u}-{i}", C.USER_ID: f"u{u:03d}", C.ITEM_ID: f"i{i:03d}",
         C.TIMESTAMP: START + int(rng.integers(0, 60)) * DAY_MS, C.STARS: None, C.TITLE: None,
         C.TEXT: " ".join(rng.choice(words[u % 2], 2))} for u, i in pairs
    ]  # fmt: skip
    empty = dict.fromkeys((C.DESCRIPTION, C.BRAND, C.PRICE, C.CATEGORIES))
    items = [{C.ITEM_ID: f"i{k:03d}", C.TITLE: " ".join(rng.permutation(words[k % 2])[:2]),
              C.AVAILABLE_FROM: START - DAY_MS, **empty} for k in range(22)]  # fmt: skip
    return World(reviews, items, FeaturesConfig(text_dim=6, history_length=5, popularity_days=(30.0,)))


@pytest.mark.parametrize("inputs", ["texts", "both"])
def test_an_item_without_events_is_ranked_by_its_words(inputs: str, tmp_path: Path) -> None:
    model = fitted(folds(tmp_path, colours()), inputs=inputs, epochs=15, id_dropout=0.5)
    history, time = model.context.history, START + 50 * DAY_MS
    fresh = history.item_rows(["i020", "i021"])
    assert (history.known_since[fresh] < time).all() and not history.items_at(fresh, np.full(2, time)).count.any()
    users = np.arange(1, len(history.user_ids))
    states = history.users_at(users, np.full(len(users), time))
    scores = model.scores(Requests(users, states.times, model.context.as_of, states))[:, fresh]
    red = np.array([int(history.user_ids[u][1:]) % 2 == 0 for u in users])
    assert ((scores[:, 0] > scores[:, 1]) == red).mean() > 0.9
    guests = [history.cold_start_state(np.zeros(0, np.int64), encode([word])[0], time) for word in ("ember", "frost")]
    for guest, order in zip(guests, (1, -1), strict=True):
        asked = Requests(guest.rows, guest.times, model.context.as_of, guest)
        assert model.answers(asked).all()
        assert order * np.subtract(*model.scores(asked)[0, fresh]) > 0


def test_without_words_there_is_nothing_of_them(made: Folds) -> None:
    model = SasrecRetriever(SasrecConfig(inputs="texts"), load_context(made.validation, "no_text"))
    assert model.net.tokens.ids is not None and model.net.tokens.review is None
    ids = SasrecRetriever(SasrecConfig(inputs="ids"), load_context(made.validation, "text"))
    assert ids.reader.text_dim == 0 and ids.net.tokens.wide is None
    history, time = model.context.history, START + 60 * DAY_MS
    guest = history.cold_start_state(np.zeros(0, np.int64), encode(["word3"])[0], time)
    assert not ids.answers(Requests(guest.rows, guest.times, ids.context.as_of, guest)).any()


def test_a_fit_that_was_interrupted_goes_on_with_its_learning_rate(made: Folds) -> None:
    config = SasrecConfig(**SMALL | {"epochs": 4})

    def run(state: FitState, epochs: int) -> FitState:
        torch.manual_seed(3)
        model = SasrecRetriever(config, load_context(made.validation, "text"))
        task = model.fit_task(made.validation, ProcessGroup(), False)
        run_epochs(task, config, state, ProcessGroup(), 3, epochs, False, lambda: None)
        return state

    class Killed(Exception):
        pass

    whole, part = run(FitState(), 4), FitState()
    torch.manual_seed(3)
    model = SasrecRetriever(config, load_context(made.validation, "text"))

    def kill() -> None:
        if part.epoch == 2:
            raise Killed

    with pytest.raises(Killed):
        task = model.fit_task(made.validation, ProcessGroup(), False)
        run_epochs(task, config, part, ProcessGroup(), 3, 4, False, kill)
    part = parse(dump({"text": {"fit": part}}))["text"]["fit"]  # as a checkpoint keeps it
    assert part.optimizer["made"] > 2
    run(part, 4)
    assert [e["loss"] for e in part.curve] == [e["loss"] for e in whole.curve]
    assert all(torch.equal(w, part.model[name]) for name, w in whole.model.items())


def test_heads_must_share_the_vector() -> None:
    with pytest.raises(ValueError, match="dim must be a multiple of twice heads"):
        SasrecConfig(dim=10, heads=4)
