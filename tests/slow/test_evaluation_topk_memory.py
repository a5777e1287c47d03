"""100,000 users × 100,000 items in bounded memory, in a process of its own."""

import subprocess
import sys

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

_SCRIPT = """
import resource
import numpy as np
from llmrec.evaluation.topk import blocked_top_k
from llmrec.schema import id_hash
n, dim = 100_000, 8
rng = np.random.default_rng(0)
users, items = (rng.standard_normal((n, dim), dtype=np.float32) for _ in range(2))
hashes = [id_hash([f"{kind}{i}" for i in range(n)]) for kind in "ui"]
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
top = blocked_top_k(lambda rows: users[rows] @ items.T, n, 10, *hashes)
assert (top.item_rows >= 0).all() and (np.diff(top.scores, axis=1) <= 0).all()
probe = rng.integers(n, size=20)
assert (top.item_rows[probe, 0] == (users[probe] @ items.T).argmax(axis=1)).all()
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)
"""


def test_a_hundred_thousand_by_a_hundred_thousand_stays_below_a_gibibyte() -> None:
    done = subprocess.run([sys.executable, "-c", _SCRIPT], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) < 1024
