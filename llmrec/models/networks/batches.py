"""How the rows of a worker become the batches of an epoch."""

import numpy as np


def neighbours(n: int, n_most: int, size: int, rng: np.random.Generator) -> list[slice]:
    """Slices of `size` neighbouring rows out of n, in random order, cut anew each time.

    As many for every worker with up to `n_most` rows, whose `rng` is in the same state; the last may be empty.
    """
    offset = int(rng.integers(size))
    cuts = [slice(max(s, 0), min(s + size, n)) for s in range(-offset, n_most, size) if s + size > 0]
    return [cuts[k] for k in rng.permutation(len(cuts))]
