"""Events small enough to follow by hand, and events with planted tastes, as `Interactions`."""

import numpy as np

from llmrec.features.asof.interactions import Interactions
from llmrec.schema import DAY_MS

#: (user, item, day): ties in time, items that appear at their own query's time.
DOZEN = [("ann", "a", 1), ("ann", "b", 2), ("bob", "a", 2), ("bob", "c", 4), ("cy", "b", 4), ("ann", "c", 5),
         ("cy", "d", 5)]  # fmt: skip


def by_day(events: list[tuple[str, str, int]], **kwargs: object) -> Interactions:
    users, items, days = zip(*events, strict=True)
    return Interactions.from_arrays(users, items, np.array(days) * DAY_MS, **kwargs)  # type: ignore[arg-type]


N_RATED, RATED_USERS, RATED_ITEMS = 3_000, 60, 50


def planted_ratings(dim: int = 6) -> tuple[Interactions, np.ndarray]:
    """A rating a second and its text's vector, (N_RATED, dim): half of the users like nearly everything; what the
    rest like is in the sign of their text times the item's."""
    rng = np.random.default_rng(3)
    user, item = rng.integers(RATED_USERS, size=N_RATED), rng.integers(RATED_ITEMS, size=N_RATED)
    taste, kind = rng.choice([-1, 1], RATED_USERS), rng.choice([-1, 1], RATED_ITEMS)
    agrees = taste[user] * kind[item] > 0
    likes = np.where(user % 2 == 0, rng.random(N_RATED) < 0.9, rng.random(N_RATED) < np.where(agrees, 0.85, 0.15))
    stars = np.where(likes, rng.choice([4.0, 5.0], N_RATED), rng.choice([1.0, 3.5], N_RATED)).astype(np.float32)
    stars[rng.random(N_RATED) < 0.1] = np.nan
    data = Interactions.from_arrays(
        [f"u{u:02d}" for u in user], [f"i{i:02d}" for i in item], np.arange(N_RATED) * 1_000, stars
    )
    vectors = rng.normal(0, 0.3, (N_RATED, dim)).astype(np.float32)
    vectors[:, 0] += taste[data.user - 1]  # in order of events, as `data` is
    vectors[:, 1] += kind[data.item - 1]
    return data, vectors
