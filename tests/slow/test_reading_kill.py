"""Twenty SIGKILLs while reviews are read: the readings of an undisturbed run, paid again at most what was in flight."""

from pathlib import Path

import pyarrow as pa
import pytest
from encoding_stub import corpus_of, paid
from killing import drawn_victims, finish, killed_again_and_again, start
from reading_job_script import BATCH

from llmrec.storage import Storage

SCRIPT = "reading_job_script.py"
TEXTS = 2_000


def tables_of(root: Path) -> tuple[pa.Table, pa.Table]:
    """`readings` in order of the reviews, and `profiles`, of the one artifact."""
    (made,) = [Storage(str(root)).find("readings", p.parent.name) for p in root.glob("readings/*/manifest.json")]
    assert made is not None
    return made.table("readings").sort_by("review_id"), made.table("profiles")


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_twenty_kills_change_no_reading(tmp_path: Path) -> None:
    texts = [f"The battery of number {n} is {'excellent' if n % 3 else 'terrible'}." for n in range(TEXTS)]
    roots = tmp_path / "killed", tmp_path / "left_alone"
    for root in roots:
        corpus_of(Storage(str(root)), texts)
    victims = drawn_victims()
    finish(start(SCRIPT, roots[1], tmp_path / "left_alone.txt", 0.0))
    print(f"left alone: {tables_of(roots[1])[1].num_rows} profiles")
    killed_again_and_again(SCRIPT, roots[0], tmp_path / "killed.txt", TEXTS, victims, seed=20)
    for killed, alone in zip(*map(tables_of, roots), strict=True):
        assert killed.num_rows and killed.equals(alone)
    assert len(paid(tmp_path / "left_alone.txt")) == len(set(paid(tmp_path / "killed.txt"))) == TEXTS
    again = len(paid(tmp_path / "killed.txt")) - TEXTS
    print(f"20 kills, {TEXTS} texts: {again} paid again")
    assert again <= len(victims) * BATCH
