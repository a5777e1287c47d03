"""One thread for the libraries underneath, where equal bits or many small calls want it. Each is for a `with` block."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any, Literal

from threadpoolctl import threadpool_limits


def one_thread(pool: Literal["blas", "openmp"]) -> Any:
    """Products and decompositions (blas), or scikit-learn's and LightGBM's loops (openmp), on one thread.

    Their bits then do not depend on how many cores there are, and small calls are not slowed down by a pool.
    """
    return threadpool_limits(1, pool)


@contextmanager
def one_torch_thread(seed: int | None = None) -> Iterator[None]:
    """Inside, torch runs on one thread and, with a seed, draws from it; afterwards both are as before."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with nullcontext() if seed is None else torch.random.fork_rng(devices=[]):
            if seed is not None:
                torch.manual_seed(seed)
            yield
    finally:
        torch.set_num_threads(threads)
