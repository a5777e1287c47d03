"""Behaviour as text: what it holds, that it sees no later event, and the same texts from files in fragments."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmrec.config import EncoderConfig
from llmrec.encoding.texts import corpus_texts
from llmrec.encoding.texts.corpus_texts import fragments, scan
from llmrec.encoding.texts.sequences import sequence_texts
from llmrec.schema import ITEMS, REVIEWS, TEXT_KEYS
from llmrec.storage import Artifact, Storage


def test_the_last_titles_oldest_first_the_event_s_own_included() -> None:
    users = ["a", "b", "a", "a", "b", "a"]
    titles = ["Guitar", "Drum", " Capo ", None, None, "Strings"]
    assert sequence_texts(users, titles, 3) == [
        "Guitar", "Drum", "Guitar\nCapo", "Guitar\nCapo", "Drum", "Capo\nStrings",
    ]  # fmt: skip
    assert sequence_texts(["a", "a"], ["x", None], 1) == ["x", ""]


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["x", "y", "z", None])), max_size=30), st.integers(0, 30)
)
def test_later_events_change_nothing(events: list[tuple[str, str | None]], cut: int) -> None:
    users, titles = [u for u, _ in events], [t for _, t in events]
    assert sequence_texts(users[:cut], titles[:cut], 4) == sequence_texts(users, titles, 4)[:cut]


@pytest.fixture
def corpus(tmp_path: Path) -> Artifact:
    """Two parts of reviews, dealt by user, in several row groups; every fifth item has no metadata."""
    rng = np.random.default_rng(0)
    storage = Storage(str(tmp_path))
    with storage.build("corpus", "c", module="llmrec.corpus", config={}, parents={}) as writer:
        for part in range(2):
            rows = [
                {"review_id": f"r{part}-{n}", "user_id": f"u{part}-{rng.integers(6)}", "timestamp": n,
                 "item_id": f"i{rng.integers(30)}", "event_order": n, "text": "said"}
                for n in range(60)
            ]  # fmt: skip
            writer.write_table(f"reviews/part-{part}", pa.Table.from_pylist(rows, schema=REVIEWS))
        items = [{"item_id": f"i{n}", "title": f"title {n}"} for n in range(30) if n % 5]
        writer.write_table("items", pa.Table.from_pylist(items, schema=ITEMS))
    found = storage.find("corpus", "c")
    assert found is not None
    return found


def test_files_in_fragments_give_the_same_texts(
    corpus: Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(corpus_texts, "_FRAGMENT_ROWS", 14)
    monkeypatch.setattr(corpus_texts, "_ROWS", 7)
    assert {f.kind for f in fragments(corpus)} == {"review", "item"}
    pieces = [f for f in fragments(corpus, 3) if f.kind == "sequence"]
    assert sum(f.n_rows for f in pieces) == 120 and len(pieces) == 10
    found: dict[str, str | None] = {}
    for at, piece in enumerate(pieces):
        texts = {t["key"]: t["text"] for table in scan(piece, EncoderConfig(), "f", 1, f"{tmp_path}/keys/{at}")
                 for t in table.to_pylist()}  # fmt: skip
        for path in sorted((tmp_path / "keys").glob(f"{at}-*.parquet")):
            keys = pa.parquet.read_table(path)
            assert keys.schema.equals(TEXT_KEYS)
            found |= {r["id"]: texts.get(r["key"], "") for r in keys.to_pylist() if r["kind"] == "sequence"}
    for part in range(2):
        rows = [r for r in corpus.table("reviews").to_pylist() if r["user_id"].startswith(f"u{part}")]
        shown = [f"title {int(r['item_id'][1:])}" if int(r["item_id"][1:]) % 5 else None for r in rows]
        expected = sequence_texts([r["user_id"] for r in rows], shown, 3)
        assert [found[r["review_id"]] for r in rows] == expected
