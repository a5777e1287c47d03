"""Events of many kinds, users, relations: every row is kept, put together or quarantined; the outcome is chosen."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llmrec.config import ConfigError, RunConfig, load_config
from llmrec.corpus import check, ingest
from llmrec.corpus.sample import generate, sample_table
from llmrec.corpus.sample.doings import bought_again
from llmrec.storage import Artifact, Storage

SECONDS = 1_600_000_000


def event(n: int, kind: str = "view", **changes: Any) -> dict[str, Any]:
    row = {"event_id": f"e{n}", "user_id": f"u{n % 3}", "item_id": f"i{n % 5}", "timestamp": SECONDS + 100 * n,
           "kind": kind}  # fmt: skip
    row.update(changes)
    return {k: v for k, v in row.items() if v is not ...}


def made(folder: Path, files: dict[str, list[Any]], **corpus: Any) -> tuple[RunConfig, Artifact]:
    folder.mkdir(exist_ok=True)
    for kind, rows in files.items():
        lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
        (folder / f"{kind}.jsonl").write_text("".join(f"{one}\n" for one in lines))
        corpus[kind] = str(folder / f"{kind}.jsonl")
    config = RunConfig.model_validate({"corpus": {"source": "table", **corpus}})
    return config, ingest(config, Storage(str(folder / "artifacts")))


def reasons(corpus: Artifact) -> dict[str, int]:
    return dict(corpus.manifest.info["reasons"])


def test_events_alone_are_a_corpus(tmp_path: Path) -> None:
    rows = [event(n, "Add to Basket" if n % 2 else "purchase", value=n, session=f"s{n // 4}") for n in range(12)]
    rows += [event(12, "search", item_id=..., text="a warm <b>one</b>"), event(13, "search", item_id=None, text="x")]
    config, corpus = made(tmp_path, {"events": rows}, outcome="purchase")
    events, reviews = corpus.table("events").to_pandas(), corpus.table("reviews").to_pandas()
    assert corpus.manifest.info["events"]["kinds"] == {"add_to_basket": 6, "purchase": 6, "search": 2}
    assert sorted(events[events.kind == "search"].text) == ["a warm one", "x"]
    assert sorted(reviews.review_id) == sorted(f"event:e{n}" for n in range(0, 12, 2))
    assert reviews.stars.isna().all() and reviews.text.isna().all() and "outcome" not in reviews
    assert events.timestamp.is_monotonic_increasing and sorted(events.value.dropna()) == list(range(12))
    counts = corpus.manifest.counts
    assert counts["events_in"] == counts["events_out"] == 14 and counts["outcomes"] == 6 and counts["rows_in"] == 0
    found = check(config)
    assert found["outcome"] == corpus.manifest.info["outcome"]
    assert found["labels"] == {"click": 6, "add_to_basket": 6, "purchase": 6}


def test_bad_rows_are_quarantined_with_their_reason(tmp_path: Path) -> None:
    bad = [
        (event(1, user_id=...), "missing_user_id"), (event(2, item_id=""), "missing_item_id"),
        (event(3, kind=None), "missing_kind"), (event(4, kind="!?"), "bad_kind"), ("{", "malformed_json"),
        (event(5, timestamp="soon"), "timestamp_not_a_time"), (event(0), "copied_event"),
    ]  # fmt: skip
    users = [{"user_id": "u1", "sex": "f"}, {"user_id": "u1", "age": 30}, {"user_id": ""}]
    relations = [
        {"follower_id": "u1", "followed_id": "u2", "since": SECONDS}, {"follower_id": "u1", "followed_id": "u2"},
        {"follower_id": "u1", "followed_id": "u1"}, {"follower_id": "u2", "followed_id": "u1", "since": "soon"},
    ]  # fmt: skip
    files = {"events": [event(0, "purchase"), event(0, "purchase", value="much"), *(row for row, _ in bad)]}
    _, corpus = made(tmp_path, files | {"users": users, "relations": relations}, outcome="purchase",
                     user_attributes={"gender": "sex", "age": "age"})  # fmt: skip
    wanted = [reason for _, reason in bad] + [
        "copied_event",
        "missing_user_id",
        "self_relation",
        "timestamp_not_a_time",
    ]
    assert sorted(corpus.table("quarantine")["reason"].to_pylist()) == sorted(wanted)
    assert reasons(corpus)["copied_event"] == 2
    lines = {(Path(r["source"]).name, r["line"]): r["reason"] for r in corpus.table("quarantine").to_pylist()}
    assert lines["events.jsonl", 4] == "missing_item_id" and lines["relations.jsonl", 3] == "self_relation"
    assert corpus.table("users").to_pylist() == [{"user_id": "u1", "attribute_gender": "f", "attribute_age": "30"}]
    assert corpus.table("relations").to_pylist() == [{"follower_id": "u1", "followed_id": "u2", "since": None}]
    counts = corpus.manifest.counts
    assert (counts["users_merged"], counts["relations_merged"], counts["events_quarantined"]) == (1, 1, 8)
    assert (
        corpus.manifest.info["repairs"]["value_unreadable"] == 1 and corpus.manifest.info["relations"]["undated"] == 1
    )


def test_without_an_id_copies_are_told_by_all_that_is_said(tmp_path: Path) -> None:
    rows = [event(0, "purchase", event_id=...)] * 2 + [event(0, "purchase", event_id=..., value=2)]
    _, corpus = made(tmp_path, {"events": rows}, outcome="purchase")
    assert corpus.manifest.counts["events_out"] == 2 and reasons(corpus) == {"copied_event": 1}


def test_repeats_follow_the_policy_of_their_kind(tmp_path: Path) -> None:
    at = {"user_id": "u", "item_id": "i"}
    rows = [
        event(n, kind, **at, value=n + 1, session=s)
        for n, (kind, s) in enumerate(
            [("watch", "a"), ("watch", "a"), ("watch", "b"), ("view", "a"), ("view", "a"), ("play", "a"), ("play", "a")]
        )
    ]
    rows += [event(0, "watch", event_id="d1", **at, value=50, timestamp=SECONDS + 200_000),
             event(0, "watch", event_id="d2", **at, timestamp=SECONDS + 200_001),
             event(0, "watch", event_id="d3", **at, value=1, timestamp=SECONDS + 400_000)]  # fmt: skip
    _, corpus = made(tmp_path, {"events": rows}, outcome={"watch": {"at_least": 3}},
                     event_repeats={"watch": "sum", "view": "last"})  # fmt: skip
    found = corpus.table("events").to_pylist()
    assert [(e["kind"], e["event_id"], e["value"]) for e in found] == [
        ("watch", "e1", 3), ("watch", "e2", 3), ("view", "e4", 5), ("play", "e5", 6), ("play", "e6", 7),
        ("watch", "d2", 50), ("watch", "d3", 1),
    ]  # fmt: skip
    assert corpus.manifest.counts["events_merged"] == 3
    assert corpus.table("reviews")["review_id"].to_pylist() == ["event:e1", "event:e2", "event:d2"]


def test_reviews_lie_beside_an_outcome_of_events(tmp_path: Path) -> None:
    reviews = [{"review_id": f"e{n}", "user_id": f"u{n % 3}", "item_id": f"i{n % 5}", "timestamp": SECONDS + 100 * n,
                "stars": 4, "text": f"words {n}"} for n in range(6)]  # fmt: skip
    events = [event(n, "purchase") for n in range(6)]
    _, corpus = made(tmp_path, {"reviews": reviews, "events": events}, outcome="purchase")
    table = corpus.table("reviews").to_pandas()
    assert list(table.outcome) == [False, True] * 6 and list(table.text.isna()) == [False, True] * 6
    assert table.review_id.is_unique and corpus.manifest.counts["rows_out"] == 6
    _, same = made(tmp_path / "b", {"reviews": reviews, "events": events})
    _, alone = made(tmp_path / "c", {"reviews": reviews})
    assert same.table("reviews").equals(alone.table("reviews")), "where a review is the outcome, events change no row"


@pytest.mark.parametrize(
    ("corpus", "said"),
    [
        ({"outcome": "purchse", "events": "e"}, "the nearest is 'purchase'"),
        ({"outcome": "purchase", "reviews": "r"}, "outcome 'purchase' needs `events`"),
        ({"events": "e"}, "expected the kind of events to predict"),
        ({"events": "e", "outcome": "buy", "event_kinds": {"17": "bought"}}, "no kind of events 'buy'"),
        ({"events": "e", "outcome": "click", "event_repeats": {"clik": "last"}}, "the nearest is 'click'"),
        ({"events": "e", "outcome": "click", "event_columns": {"knd": "k"}}, "the nearest is 'kind'"),
        ({"reviews": "r", "user_attributes": {"age": "a"}}, "need `users`"),
        ({"reviews": "r", "outcome": {"review": {"at_least": 3}}}, "a review has no value"),
    ],
)
def test_names_are_checked_on_load(corpus: dict[str, Any], said: str, tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text(json.dumps({"corpus": {"source": "table", **corpus}}))
    with pytest.raises(ConfigError, match=said):
        load_config(tmp_path / "c.yaml")


def test_an_outcome_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no event is the outcome, purchase: found 2 view.*corpus.event_kinds"):
        made(tmp_path, {"events": [event(1), event(2)]}, outcome="purchase")


def test_kinds_are_mapped_and_files_without_them_are_of_one_kind(tmp_path: Path) -> None:
    rows = [event(1, "17"), event(2, "transaction"), event(3, "stream")]
    _, corpus = made(tmp_path, {"events": rows}, outcome="purchase",
                     event_kinds={"17": "play", "transaction": "purchase", "stream": "listen"})  # fmt: skip
    assert corpus.table("events")["kind"].to_pylist() == ["play", "purchase", "listen"]
    _, corpus = made(tmp_path / "b", {"events": [event(1, kind=...)]}, outcome="play", event_kind="play")
    assert corpus.table("events")["kind"].to_pylist() == ["play"]


VALUES = st.one_of(st.none(), st.integers(-5, 2_000_000_000), st.floats(), st.text(max_size=6), st.lists(st.integers()))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(st.fixed_dictionaries({}, optional=dict.fromkeys(event(0, value=1, session=2, text=3), VALUES))))
def test_rows_in_are_rows_out_and_quarantined_and_merged(rows: list[dict[str, Any]], tmp_path_factory: Any) -> None:
    known = [event(n, "watch", value=n) for n in range(4)]
    _, corpus = made(tmp_path_factory.mktemp("fuzz"), {"events": [*known, *rows]}, outcome="watch",
                     event_repeats={"watch": "sum"})  # fmt: skip
    counts = corpus.manifest.counts
    assert counts["events_in"] == 4 + len(rows)
    assert counts["events_in"] == counts["events_out"] + counts["events_quarantined"] + counts["events_merged"]
    assert corpus.table("events").num_rows == counts["events_out"]
    assert corpus.table("quarantine").num_rows == counts["events_quarantined"]


def test_the_built_in_corpus_tells_what_its_shoppers_do() -> None:
    small = {"n_users": 80, "n_items": 60, "n_reviews": 500}
    plain, rich = (RunConfig.model_validate({"corpus": {"sample": small | more}}).corpus.sample
                   for more in ({}, {"events": True, "people": True}))  # fmt: skip
    assert generate(plain).reviews.equals(generate(rich).reviews)
    events, truth = sample_table(rich, "events").to_pandas(), generate(rich).truth
    assert sample_table(rich, "events").equals(sample_table(rich, "events")) and events.event_id.is_unique
    bought = events[events.kind == "purchase"]
    again = bought[bought.duplicated(["user_id", "item_id"])]
    assert len(again) / len(bought) > 0.03 and bought_again(truth)[truth.item_rows(list(again.item_id))].all()
    viewed, shown = (events[events.kind == kind] for kind in ("view", "impression"))
    likes = [truth.affinity(list(e.user_id), list(e.item_id)).mean() for e in (viewed, shown)]
    assert likes[0] > likes[1] + 0.3, "views follow the taste, impressions do not"
    released = dict(zip(truth.item_ids, truth.available.tolist(), strict=True))
    early = bought.timestamp < bought.item_id.map(released)
    assert not early.any()
    users, relations = (sample_table(rich, kind).to_pandas() for kind in ("users", "relations"))
    band = dict(zip(users.user_id, users.attribute_age_band, strict=True))
    first = truth.liked_categories.argmax(axis=1) % 4
    rows = truth.user_rows(list(band))
    assert np.mean([first[r] == ("18-29", "30-44", "45-59", "60+").index(b) for r, b in zip(rows, band.values(), strict=True)]) > 0.7  # fmt: skip  # noqa: E501
    follower, followed = (truth.wants[truth.user_rows(list(relations[c]))] for c in ("follower_id", "followed_id"))
    other = truth.wants[np.random.default_rng(0).permutation(len(truth.wants))[: len(follower)] % len(truth.wants)]
    assert (follower & followed).sum(axis=1).mean() > (follower[: len(other)] & other).sum(axis=1).mean() + 0.2
