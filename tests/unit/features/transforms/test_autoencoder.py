"""The learned reduction: what it keeps, that it is repeatable, and that numpy gives what torch learned."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from factories.features import DIM, World, encode

from llmrec.features.asof.history import History
from llmrec.features.transforms import reduction
from llmrec.features.transforms.autoencoder import Autoencoder
from llmrec.features.transforms.projection import Moments, Projection
from llmrec.features.transforms.reduction import Sample

NONE = np.zeros((0, DIM), np.float32)


def curved(n: int = 2_000) -> np.ndarray:
    """(n, DIM) points on a closed curve: one number tells where, but no single axis does."""
    rng = np.random.default_rng(0)
    angle = rng.uniform(0, 2 * np.pi, n)
    waves = [f(k * angle) for k in (1, 2, 3) for f in (np.sin, np.cos)]
    return (np.stack(waves, axis=1) @ rng.normal(size=(len(waves), DIM)) + 3).astype(np.float32)


@pytest.fixture(scope="module")
def fitted() -> Autoencoder:
    return Autoencoder.fit(curved(), NONE, 2, seed=7)


def test_a_curved_code_says_more_than_axes_of_the_same_number(fitted: Autoencoder) -> None:
    axes = Projection.fit(Moments.of(curved()), Moments.of(NONE), 2)
    assert fitted.explained[0] > axes.explained.sum() + 0.2
    assert (fitted.input_dim, fitted.dim) == (DIM, 2)


def test_codes_are_centred_of_length_one_and_zero_where_there_is_nothing(fitted: Autoencoder) -> None:
    codes = fitted(curved(), "review")
    np.testing.assert_allclose(codes.mean(axis=0), 0, atol=1e-4)
    np.testing.assert_allclose((codes**2).sum(axis=1).mean(), 1, rtol=1e-3)
    assert not fitted(np.zeros((3, DIM), np.float32), "item").any()
    np.testing.assert_array_equal(fitted(curved()[40:41], "review")[0], codes[40])
    with pytest.raises(ValueError, match=f"found 3 dimensions, expected {DIM}"):
        fitted(np.zeros((1, 3), np.float32), "review")


def test_reviews_and_items_have_their_own_centres() -> None:
    words = encode([f"a{k % 9} b{k % 7}" for k in range(300)])
    made = Autoencoder.fit(words, words + 5, 4, seed=0)
    np.testing.assert_allclose(made(words, "review"), made(words + 5, "item"), atol=1e-4)


def test_the_same_rows_and_seed_give_the_same_bits_on_any_number_of_threads(fitted: Autoencoder) -> None:
    threads, state = torch.get_num_threads(), torch.random.get_rng_state()
    torch.set_num_threads(2)
    try:
        again = Autoencoder.fit(curved(), NONE, 2, seed=7)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(torch.random.get_rng_state(), state)
    for name, values in vars(fitted).items():
        np.testing.assert_array_equal(values, getattr(again, name), err_msg=name)
    other = Autoencoder.fit(curved(), NONE, 2, seed=8)
    assert not np.array_equal(other.code, fitted.code)


def test_many_rows_are_sampled_and_none_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reduction, "ROWS", 500)
    places = np.where(np.arange(2_000) % 4 > 0, np.arange(2_000), -1)
    sample = Sample.of(curved(), places, 2_000)
    assert 300 < len(sample.places) < 400 and not (sample.places % 4 == 0).any()
    halves = Sample.of(curved()[1_000:], places[1_000:], 2_000) + Sample.of(curved()[:1_000], places[:1_000], 2_000)
    np.testing.assert_array_equal(halves.in_order(), sample.vectors)
    assert Autoencoder.fit(sample.vectors, NONE, 2, seed=7).explained[0] > 0.5
    empty = Autoencoder.fit(NONE, NONE, 2, seed=7)
    assert np.isfinite(empty(curved(5), "review")).all()


def test_a_history_keeps_it(tmp_path: Path) -> None:
    world = World.random()
    made = replace(world, settings=world.settings.model_copy(update={"text_reduction": "autoencoder"})).prepare()
    assert {type(r) for r in made.history.reductions.values()} == {Autoencoder}
    made.history.save(str(tmp_path))
    loaded = History.load(str(tmp_path))
    words = encode(["word1 word2", ""])
    for name in ("text", "sequence"):
        reductions = made.history.reductions, loaded.reductions
        np.testing.assert_array_equal(*(r[name](words, "review") for r in reductions))
    guests = (h.cold_start_state(np.array([1]), words[0], 2**50) for h in (made.history, loaded))
    np.testing.assert_array_equal(*(made.spec.user_features(guest) for guest in guests))
