"""100,000 users × 100,000 items in bounded memory, in a process of its own."""

import subprocess
import sys

import pytest

pytestmark = pytest.mark.timeout(1800)

_SCRIPT = """
import resource
import numpy as np
from llmrec.evaluation.ranking.topk import blocked_top_k
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

_PROTOCOL = """
import resource, tempfile
import numpy as np
from llmrec.evaluation.ranking.evaluator import Answer, Catalogue, EvaluatedModel, Table
from llmrec.evaluation.ranking.baselines import WithFallback, make
from llmrec.evaluation.ranking.lists import Lists
from llmrec.features.asof.interactions import Interactions
from llmrec.evaluation.data.protocols import temporal
n, asked = 200_000, 4_000
rng = np.random.default_rng(0)
users, items = (np.concatenate([np.arange(100_000), rng.integers(100_000, size=n - 100_000)]) for _ in range(2))
data = Interactions.from_arrays([f"u{u}" for u in users], [f"i{i}" for i in items], np.arange(n) * 1_000)
fold = temporal(data, 0.5 * n * 1_000, (n - asked) * 1_000).test
vectors = rng.standard_normal((data.n_items, 64), np.float32)
popular = make("recent_popularity", {"decay_days": 30})
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
with tempfile.TemporaryDirectory() as folder, Lists(folder, data) as lists:
    table = Table(lists, Catalogue.of(fold, vectors), (10, 50), 100)
    table.ask(EvaluatedModel((Answer("popularity", "baseline", "", ""),), [WithFallback(popular)]), fold, 0)
(found,) = table.measured
assert len(fold.queries) == asked == len(found.values["ndcg@10"]) and found.recall_over_k[-1].x == 100
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)
"""


@pytest.mark.parametrize("script", [_SCRIPT, _PROTOCOL], ids=["lists", "protocol"])
def test_a_hundred_thousand_by_a_hundred_thousand_stays_below_a_gibibyte(script: str) -> None:
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) < 1024
