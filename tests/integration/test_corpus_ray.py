"""On Ray the corpus room gives the same tables as in one process, and the same errors."""

import json
from pathlib import Path

import fsspec
import pytest

from llmrec.config import RunConfig
from llmrec.corpus import ingest
from llmrec.corpus.passes.distributed import run_all
from llmrec.corpus.readers.files import resolve
from llmrec.storage import Storage

SECONDS = 1_400_000_000


def _corpus(folder: Path, n_files: int) -> RunConfig:
    folder.mkdir(parents=True, exist_ok=True)
    for n in range(n_files):
        rows = [
            {"reviewerID": f"U{(n * 7 + k) % 50}", "asin": f"P{k % 30}", "unixReviewTime": SECONDS + k, "overall": 5}
            for k in range(200)
        ]
        rows.append({"reviewerID": "U0", "asin": "P0", "unixReviewTime": SECONDS, "overall": 5})  # in every file
        (folder / f"r{n}.json").write_text("".join(json.dumps(row) + "\n" for row in rows) + "broken\n")
    return RunConfig.model_validate({"corpus": {"source": "amazon", "reviews": [str(folder / "*.json")]}})


def test_ray_and_one_process_give_the_same_tables(
    ray_cluster: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = _corpus(tmp_path / "files", n_files=4)
    monkeypatch.setattr("llmrec.corpus.passes.build.BUCKET_BYTES", 10_000)
    on_ray = ingest(config, Storage(str(tmp_path / "ray")))
    monkeypatch.setattr("ray.is_initialized", lambda: False)
    alone = ingest(config, Storage(str(tmp_path / "alone")))
    assert len(on_ray.uris("reviews")) > 3
    for name in ("reviews", "items"):
        assert on_ray.table(name).equals(alone.table(name))
    places = [("source", "ascending"), ("line", "ascending")]
    assert on_ray.table("quarantine").sort_by(places).equals(alone.table("quarantine").sort_by(places))
    assert on_ray.manifest.counts == alone.manifest.counts and on_ray.manifest.info == alone.manifest.info
    assert on_ray.manifest.info["reasons"] == {"malformed_json": 4, "copy": 4}, "copies across files are found"
    assert on_ray.manifest.info["repeats"] > 4, "and pairs that came again are told from them"


def test_an_error_in_a_task_arrives_as_it_was(ray_cluster: None, tmp_path: Path) -> None:
    (tmp_path / "there.json").write_text("x")
    there, gone = [(([str(tmp_path / name)]),) for name in ("there.json", "gone.json")]
    assert [len(files) for files in run_all(resolve, [there] * 5)] == [1] * 5
    with pytest.raises(FileNotFoundError, match=r"^corpus: '.*gone.json' names no file"):
        list(run_all(resolve, [there, gone, *[there] * 20]))


def test_files_that_only_this_process_can_read_are_read_here(ray_cluster: None, tmp_path: Path) -> None:
    fs = fsspec.filesystem("memory")
    row = {"reviewerID": "U1", "asin": "P1", "unixReviewTime": SECONDS, "overall": 5}
    fs.pipe("/corpus_ray/r.json", json.dumps(row).encode())
    config = RunConfig.model_validate({"corpus": {"source": "amazon", "reviews": ["memory://corpus_ray/*.json"]}})
    assert ingest(config, Storage(str(tmp_path))).manifest.counts["rows_out"] == 1
