"""A cluster of which nothing is free."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import ray


@contextmanager
def all_cpus_held() -> Iterator[None]:
    """One holder a CPU: what actors of tests before still hold is nobody's to give either."""

    class Holder:  # in here, since workers do not see the tests' folder
        """Holds its CPU."""

        def here(self) -> None:
            """Answered once it has one."""

    n_cpus = int(ray.cluster_resources()["CPU"])
    holders = [ray.remote(Holder).options(num_cpus=1).remote() for _ in range(n_cpus)]
    deadline = time.monotonic() + 120
    try:
        # A CPU that is not free may be on loan to this driver for a moment yet, whose next task would get it: the
        # holders must have theirs, as many as others leave.
        ray.wait([holder.here.remote() for holder in holders], num_returns=n_cpus, timeout=20)
        while ray.available_resources().get("CPU", 0.0) >= 1:
            assert time.monotonic() < deadline, "the holders do not start"
            time.sleep(0.05)
        yield
    finally:
        for holder in holders:
            ray.kill(holder)
