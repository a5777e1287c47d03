"""Training with torch that gives the same bits, whatever torch is set to in this process."""

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def one_thread(seed: int) -> Iterator[None]:
    """Inside, torch runs on one thread and draws from `seed`; afterwards both are as before."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            yield
    finally:
        torch.set_num_threads(threads)
