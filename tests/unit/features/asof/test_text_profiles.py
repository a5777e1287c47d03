"""Text profiles as of a moment against a plain loop."""

import numpy as np

from llmrec.features.asof.interactions import Interactions
from llmrec.features.asof.text_profiles import Profiles
from llmrec.schema import DAY_MS


def test_profiles_are_means_of_earlier_texts() -> None:
    rng = np.random.default_rng(0)
    time = np.sort(rng.integers(60, size=120)) * DAY_MS  # ties
    data = Interactions.from_arrays([f"u{u}" for u in rng.integers(10, size=120)], ["i"] * 120, time)
    vectors = np.random.default_rng(1).normal(size=(120, 4)).astype(np.float32)
    vectors[::7] = 0  # no text
    profiles = Profiles(data, data.user, data.n_users, vectors)
    found, count = profiles.at(data.user, data.time)
    put_back, more = profiles.at(data.user, data.time, np.arange(120))
    for r in range(120):
        before = np.flatnonzero((data.user == data.user[r]) & (data.time < data.time[r]) & vectors.any(axis=1))
        expected = vectors[before].mean(axis=0) if len(before) else np.zeros(4)
        np.testing.assert_allclose(found[r], expected, atol=1e-6)
        assert count[r] == len(before)
        with_own = [*before, r] if vectors[r].any() else before
        np.testing.assert_allclose(put_back[r], vectors[with_own].mean(axis=0) if len(with_own) else 0, atol=1e-6)
        assert more[r] == len(with_own)
    everyone, counts = profiles.everyone_at(int(data.time[60]))
    assert counts[0] == 0 and not everyone[0].any()  # row 0 wrote nothing
    again = profiles.at(np.arange(data.n_users), np.full(data.n_users, data.time[60]))
    np.testing.assert_array_equal(everyone, again[0])
    np.testing.assert_array_equal(counts, again[1])
