"""`make demo` on a corpus small enough to take the whole way in a test, with every real component."""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[2]
QUICKSTART = str(REPOSITORY / "configs" / "quickstart.yaml")
#: Overrides for configs/quickstart.yaml.
TINY = (
    "corpus.sample.n_users=80",
    "corpus.sample.n_items=150",
    "corpus.sample.n_reviews=700",
    "corpus.sample.skew=1",
    "features.text_dim=16",
    "training.retrievers={two_tower: {epochs: 2}}",
    "training.ranker.queries=100",
    "evaluation.protocols=[temporal]",
    "evaluation.bootstrap=100",
)


@dataclass(frozen=True)
class Demo:
    """What the demo left, answered and said."""

    root: Path
    answer: dict[str, Any]
    said: str

    @classmethod
    def run(cls, root: Path) -> "Demo":
        command = [sys.executable, "-m", "jobs.demo", "--config", QUICKSTART, *TINY, f"storage={root}"]
        ran = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=880)
        assert ran.returncode == 0, ran.stderr[-4000:]
        return cls(root, json.loads(ran.stdout.splitlines()[-1]), ran.stderr)
