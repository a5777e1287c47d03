"""Artifacts are whole or absent, and their rows add up."""

import errno
import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from llmrec import storage as storage_module
from llmrec.features.arrays import map_array, write_array
from llmrec.files import copy_file, copy_folder, filesystem, local_path, read_bytes, write_bytes
from llmrec.storage import MANIFEST, Storage, artifact_id, check_row_sum, fingerprint

ARTIFACT = {"module": "llmrec.corpus.stage", "config": {"a": 1}, "parents": {}}


def _write(storage: Storage, value: int = 1) -> str:
    name = artifact_id(**ARTIFACT)
    with storage.build("corpus", name, **ARTIFACT) as writer:
        writer.write_table("reviews", pa.table({"x": [value]}))
        writer.write_table("parts/0", pa.table({"x": [1]}))
        writer.write_table("parts/1", pa.table({"x": [2, 3]}))
        writer.counts = {"rows_in": 3, "rows_out": 2, "quarantined": 1}
    return name


def test_an_artifact_reads_back_what_was_written(tmp_path: Path) -> None:
    storage = Storage(str(tmp_path))
    found = storage.find("corpus", _write(storage))
    assert found is not None and found.reused
    assert found.table("reviews")["x"].to_pylist() == [1]
    assert found.table("parts")["x"].to_pylist() == [1, 2, 3]
    assert found.manifest.config == {"a": 1}
    with pytest.raises(FileNotFoundError, match=r"no file 'other'; it holds \['parts/0.parquet'"):
        found.uri("other")


def test_an_artifact_whose_making_failed_does_not_exist(tmp_path: Path) -> None:
    storage = Storage(str(tmp_path))
    name = artifact_id(**ARTIFACT)
    with pytest.raises(KeyboardInterrupt), storage.build("corpus", name, **ARTIFACT) as writer:
        writer.write_table("reviews", pa.table({"x": [1]}))
        raise KeyboardInterrupt
    assert storage.find("corpus", name) is None


def test_rows_that_do_not_add_up_are_not_committed(tmp_path: Path) -> None:
    storage = Storage(str(tmp_path))
    name = artifact_id(**ARTIFACT)
    with pytest.raises(RuntimeError, match="3 rows in, but 2 out"), storage.build("corpus", name, **ARTIFACT) as writer:
        writer.counts = {"rows_in": 3, "rows_out": 2, "quarantined": 0}
    assert storage.find("corpus", name) is None
    check_row_sum("corpus", {"rows_in": 3})  # a stage that does not count three sums has nothing to prove


def test_two_writers_of_one_artifact_leave_one_whole(tmp_path: Path) -> None:
    storage = Storage(str(tmp_path))
    name = artifact_id(**ARTIFACT)
    with storage.build("corpus", name, **ARTIFACT) as first:
        first.write_table("reviews", pa.table({"x": [1]}))
        _write(storage, value=2)
    found = storage.find("corpus", name)
    assert found is not None and found.table("reviews")["x"].to_pylist() == [1]
    with pytest.raises(FileNotFoundError):
        found.table("parts")


@pytest.mark.parametrize(
    ("damage", "said"), [(lambda p: p.unlink(), "is missing"), (lambda p: p.write_bytes(b"x"), "1 bytes")]
)
def test_a_cut_file_is_named_with_the_remedy(tmp_path: Path, damage, said: str) -> None:  # type: ignore[no-untyped-def]
    storage = Storage(str(tmp_path))
    name = _write(storage)
    damage(next(tmp_path.rglob("reviews.parquet")))
    with pytest.raises(ValueError, match=f"reviews.parquet .*{said}.*Delete .*{MANIFEST}"):
        storage.find("corpus", name)


def test_a_full_disk_leaves_the_old_file_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "file"
    write_bytes(str(target), b"old")

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_bytes(str(target), b"new")
    assert read_bytes(str(target)) == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_the_id_changes_with_config_code_and_parents(monkeypatch: pytest.MonkeyPatch) -> None:
    ids = {
        artifact_id("corpus", {"a": 1}, {}),
        artifact_id("corpus", {"a": 2}, {}),
        artifact_id("corpus", {"a": 1}, {"p": "x"}),
    }
    monkeypatch.setattr(storage_module, "code_version", lambda room: "other")
    ids.add(artifact_id("corpus", {"a": 1}, {}))
    assert len(ids) == 4
    assert fingerprint({"a": 1, "b": 2}) == fingerprint({"b": 2, "a": 1})


def test_memory_and_unknown_schemes() -> None:
    write_bytes("memory://llmrec-test/a", b"x")
    assert read_bytes("memory://llmrec-test/a") == b"x"
    with pytest.raises(ValueError, match=r"cannot open 'nosuch://x'.*expected a local path or a URI"):
        filesystem("nosuch://x")


def test_a_file_of_another_machine_is_copied_once_and_again_where_it_changed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("LLMREC_CACHE", str(tmp_path / "cache"))
    uri = "memory://bucket/history/times.npy"
    values = np.arange(100_000)
    write_array(uri, values)
    path = local_path(uri)
    assert path.parent == tmp_path / "cache"
    assert np.array_equal(map_array(uri), values) and local_path(uri) == path
    old, stranger = path.with_name("llmrec-copy-old"), path.with_name("thesis.tex")
    for file in (old, stranger):
        file.write_bytes(b"x")
        os.utime(file, (0, 0))
    write_array(uri, values[:10])
    assert np.array_equal(map_array(uri), values[:10])
    assert path.exists() and not old.exists(), "a copy of a week ago goes, a new one stays"
    assert stranger.exists(), "LLMREC_CACHE may hold what is not ours"
    with pytest.raises(FileNotFoundError, match="no such file"):
        local_path("memory://bucket/history/nothing.npy")


def test_a_local_file_is_mapped_where_it_lies(tmp_path: Path) -> None:
    uri = str(tmp_path / "a.npy")
    write_array(uri, np.ones((3, 2), np.float32))
    assert local_path(uri) == tmp_path / "a.npy"
    mapped = map_array(uri)
    assert mapped.tolist() == [[1, 1]] * 3 and not mapped.flags.writeable
    whole = Path(uri).read_bytes()
    for cut in (len(whole) - 1, 9, 0):
        Path(uri).write_bytes(whole[:cut])
        with pytest.raises(ValueError, match=r"a.npy: not a whole .npy file"):
            map_array(uri)


def test_a_failed_attempt_leaves_nothing(tmp_path: Path) -> None:
    storage = Storage(str(tmp_path))
    with (
        pytest.raises(RuntimeError, match="no"),
        storage.build("corpus", "x", module="llmrec.corpus.stage", config={}, parents={}) as writer,
    ):
        writer.write_json("a.json", {})
        raise RuntimeError("no")
    assert not list(tmp_path.rglob("a.json"))


def test_a_copy_stays_as_it_was_whatever_happens_to_the_other(tmp_path: Path) -> None:
    write_bytes(str(tmp_path / "a" / "deep" / "file"), b"old")
    for _ in range(2):  # the second time it is there already
        copy_folder(str(tmp_path / "a"), str(tmp_path / "b"))
    first, second = tmp_path / "a" / "deep" / "file", tmp_path / "b" / "deep" / "file"
    write_bytes(str(first), b"new")
    assert second.read_bytes() == b"old"
    with first.open("r+b") as stream:  # in place, which a second name for the same bytes would show
        stream.truncate(1)
    assert second.read_bytes() == b"old"
    first.unlink()
    assert second.read_bytes() == b"old"
    assert [p.name for p in second.parent.iterdir()] == ["file"]
    with pytest.raises(FileNotFoundError):
        copy_file(str(tmp_path / "nothing"), str(tmp_path / "c"))
