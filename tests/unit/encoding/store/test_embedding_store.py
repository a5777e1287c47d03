"""The embedding store: whole parts or none, one winner for equal keys, safe compaction, measured loss of its dtypes."""

import errno
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from encoding_stub import held_keys
from hypothesis import given, settings
from hypothesis import strategies as st

from llmrec.encoding.store import content_store as store_module
from llmrec.encoding.store.embedding_store import EmbeddingStore
from llmrec.encoding.store.keys import column_keys, keys_array, prefix_width, text_key
from llmrec.encoding.store.parts import PartVanished, StorePart, key_column

DIM = 32


def made(n: int, start: int = 0) -> tuple[list[str], np.ndarray, np.ndarray]:
    keys = [text_key("fp", f"text {at}") for at in range(start, start + n)]
    vectors = np.random.default_rng(start).standard_normal((n, DIM)).astype(np.float32)
    return keys, vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.ones(n, np.int32)


def get(store: EmbeddingStore, keys: list[str]) -> np.ndarray:
    found = store.find(keys)
    assert found.present.all()
    return found.vectors


def part_files(store: EmbeddingStore) -> list[Path]:
    return sorted(Path(store.uri).rglob("*.parquet"))


def test_returns_vectors_in_the_order_asked_for(tmp_path: Path) -> None:
    store = EmbeddingStore(str(tmp_path), "fp")
    keys, vectors, ones = made(300)
    store.put(keys[:200], vectors[:200], ones[:200], ones[:200], width=1)
    store.put(keys[200:], vectors[200:], ones[200:], ones[200:], width=2)
    order = np.random.default_rng(0).permutation(300)
    np.testing.assert_array_equal(get(store, [keys[at] for at in order]), vectors[order])


def test_a_key_asked_for_twice_comes_twice(tmp_path: Path) -> None:
    store = EmbeddingStore(str(tmp_path), "fp")
    keys, vectors, ones = made(3)
    store.put(keys, vectors, ones, ones)
    np.testing.assert_array_equal(get(store, [keys[1], keys[1]]), vectors[[1, 1]])


def test_a_missing_key_is_told_from_a_zero_vector(tmp_path: Path) -> None:
    store = EmbeddingStore(str(tmp_path), "fp")
    keys, vectors, ones = made(2)
    store.put(keys[:1], vectors[:1], ones[:1], ones[:1])
    assert store.find(keys).present.tolist() == [True, False]


def test_two_encoders_and_two_dtypes_never_mix(tmp_path: Path) -> None:
    keys, vectors, ones = made(2)
    EmbeddingStore(str(tmp_path), "one").put(keys, vectors, ones, ones)
    assert not EmbeddingStore(str(tmp_path), "two").find(keys).present.any()
    assert not EmbeddingStore(str(tmp_path), "one", "int8").find(keys).present.any()


@pytest.mark.parametrize(("dtype", "least_cosine"), [("float32", 1.0), ("float16", 0.999999), ("int8", 0.9999)])
def test_loss_of_a_storage_dtype(tmp_path: Path, dtype: str, least_cosine: float) -> None:
    store = EmbeddingStore(str(tmp_path), "fp", dtype)
    keys, vectors, ones = made(500)
    store.put(keys, vectors, ones, ones)
    got = get(store, keys)
    cosines = (got * vectors).sum(axis=1) / np.linalg.norm(got, axis=1)
    assert cosines.min() >= least_cosine - 1e-6
    assert dtype == "float32" or not np.array_equal(got, vectors)


def test_vectors_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    keys, vectors, ones = made(2)
    vectors[1, 3] = np.nan
    with pytest.raises(ValueError, match="1 vectors are not finite"):
        EmbeddingStore(str(tmp_path), "fp").put(keys, vectors, ones, ones)
    assert not part_files(EmbeddingStore(str(tmp_path), "fp"))


@given(st.sets(st.binary(min_size=16, max_size=16), min_size=1, max_size=40), st.integers(1, 3))
@settings(max_examples=50, deadline=None)
def test_any_sixteen_bytes_are_a_key(tmp_path_factory: pytest.TempPathFactory, raw: set[bytes], width: int) -> None:
    """Also those with zero bytes at either end, which numpy's strings drop."""
    store = EmbeddingStore(str(tmp_path_factory.mktemp("store")), "fp")
    keys = [key.hex() for key in raw]
    vectors = np.arange(len(keys) * DIM, dtype=np.float32).reshape(len(keys), DIM)
    ones = np.ones(len(keys), np.int32)
    store.put(keys, vectors, ones, ones, width)
    np.testing.assert_array_equal(get(store, keys), vectors)
    held = held_keys(store)
    assert sorted(key.ljust(16, b"\0") for key in held.tolist()) == sorted(raw)


def test_keys_survive_their_column() -> None:
    raw = keys_array(["00" * 16, "ff" * 15 + "00"])
    table = pa.table({"key": key_column(raw)})
    np.testing.assert_array_equal(column_keys(table.slice(1)), raw[1:])


@pytest.mark.parametrize("damage", ["cut", "grown", "foreign"])
def test_a_file_that_is_no_whole_part_is_not_read(tmp_path: Path, damage: str) -> None:
    store = EmbeddingStore(str(tmp_path), "fp")
    keys, vectors, ones = made(1)
    store.put(keys, vectors, ones, ones)
    (part,) = part_files(store)
    data = part.read_bytes()
    if damage == "foreign":
        part.with_name(".x.tmp").write_bytes(b"half of a part")
    else:
        part.write_bytes(data[:-7] if damage == "cut" else data + b"x")
    assert bool(store.find(keys).present[0]) == (damage == "foreign")


def test_the_smallest_name_wins_whatever_came_first(tmp_path: Path) -> None:
    keys, vectors, ones = made(1)
    winners = []
    for name, order in (("a", (0, 1, 2)), ("b", (2, 1, 0))):
        store = EmbeddingStore(str(tmp_path / name), "fp")
        for at in order:
            store.put(keys, np.roll(vectors, at, axis=1), ones, ones)
        assert len(part_files(store)) == 3
        winners.append(get(store, keys))
    np.testing.assert_array_equal(winners[0], winners[1])


def test_writing_the_same_bits_twice_leaves_one_part(tmp_path: Path) -> None:
    store = EmbeddingStore(str(tmp_path), "fp")
    keys, vectors, ones = made(1)
    for _ in range(2):
        store.put(keys, vectors, ones, ones)
    assert len(part_files(store)) == 1


def test_compaction_keeps_every_vector_and_the_winners(tmp_path: Path) -> None:
    store = EmbeddingStore(str(tmp_path), "fp")
    for start in range(0, 60, 10):
        keys, vectors, ones = made(15, start)  # neighbours overlap, with other vectors
        store.put(keys, vectors, ones, ones)
    everything = made(65)[0]
    before, parts = get(store, everything), len(part_files(store))
    assert sum(store.compact(prefix) for prefix in store.prefixes()) > 0
    assert len(part_files(store)) == len(store.prefixes()) < parts
    np.testing.assert_array_equal(get(store, everything), before)
    assert sum(store.compact(prefix) for prefix in store.prefixes()) == 0


def test_a_reader_survives_compaction_behind_its_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = EmbeddingStore(str(tmp_path), "fp")
    keys, vectors, ones = made(1)
    for shift in range(3):
        store.put(keys, np.roll(vectors, shift, axis=1), ones, ones)
    expected, prefix, opened = get(store, keys), keys[0][0], EmbeddingStore._open

    def compact_first(self: EmbeddingStore, part: StorePart) -> object:
        monkeypatch.setattr(EmbeddingStore, "_open", opened)
        assert store.compact(prefix) == 3
        return opened(self, part)

    monkeypatch.setattr(EmbeddingStore, "_open", compact_first)
    np.testing.assert_array_equal(get(store, keys), expected)


def test_a_store_that_somebody_deletes_is_an_error_not_a_loop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = EmbeddingStore(str(tmp_path), "fp")
    keys, vectors, ones = made(1)
    store.put(keys, vectors, ones, ones)

    def gone(*_: object) -> None:
        raise PartVanished("gone")

    monkeypatch.setattr(EmbeddingStore, "_open", gone)
    with pytest.raises(OSError, match="is somebody deleting the store"):
        store.find(keys)


def test_a_full_disk_leaves_the_store_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = EmbeddingStore(str(tmp_path), "fp")
    keys, vectors, ones = made(40)
    store.put(keys[:20], vectors[:20], ones[:20], ones[:20])
    before, calls, write = part_files(store), [], store_module.write_bytes

    def full_after_two(uri: str, data: bytes) -> None:
        calls.append(uri)
        if len(calls) > 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        write(uri, data)

    monkeypatch.setattr(store_module, "write_bytes", full_after_two)
    with pytest.raises(OSError, match="No space left"):
        store.put(keys[20:], vectors[20:], ones[20:], ones[20:])
    monkeypatch.undo()
    assert set(before) < set(part_files(store))
    np.testing.assert_array_equal(get(store, keys[:20]), vectors[:20])
    store.put(keys[20:], vectors[20:], ones[20:], ones[20:])
    np.testing.assert_array_equal(get(store, keys), vectors)


def test_shards_stay_small_whatever_the_corpus() -> None:
    assert [prefix_width(n) for n in (0, 10_000, 65_536, 65_537, 1_000_000, 100_000_000)] == [1, 1, 1, 2, 2, 3]


def test_on_a_file_system_that_is_no_local_disk() -> None:
    store = EmbeddingStore("memory://encoding-store-test", "fp")
    for start in (0, 10):
        keys, vectors, ones = made(15, start)
        store.put(keys, vectors, ones, ones)
    np.testing.assert_array_equal(get(store, keys[5:]), vectors[5:])
    assert sum(store.compact(prefix) for prefix in store.prefixes()) > 0
    np.testing.assert_array_equal(get(store, keys[5:]), vectors[5:])
