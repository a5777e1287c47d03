"""A turn of a refresh on a cluster, by the real stages."""

from typing import Any

from llmrec import registry
from llmrec.config import RunConfig
from llmrec.exposures.paths import events_path
from llmrec.live.event_log import EventLog, Fact, open_event_log
from llmrec.pipeline import Run
from llmrec.refresh.turn import take_turn
from llmrec.schema import DAY_MS, C

NAME = "refreshed"
REFRESH = {"least_events": 40, "epochs": 1, "tolerance": 10, "least_held": 1000}


def config_of(run: Run, **more: Any) -> RunConfig:
    settings = {"name": NAME, "refresh": REFRESH, "serving": {"live": {"enabled": True}}} | more
    return RunConfig.model_validate(run.config.model_dump() | settings)


def logged(run: Run, config: RunConfig, n: int = 60) -> EventLog:
    """Events of the month after the corpus, in words of it."""
    rows = run.artifacts["corpus"].table("reviews").sort_by(C.TIMESTAMP).to_pylist()
    end, log = rows[-1][C.TIMESTAMP], open_event_log(events_path(config, run.storage.root, NAME))
    facts = []
    for k in range(n):
        row, other = rows[-1 - k], rows[k]
        said = {"user": row[C.USER_ID], "item": other[C.ITEM_ID], "stars": 4.0, "words": other[C.TEXT] or None}
        facts.append(Fact("event", f"e{k}", said, said | {"time": end + k * DAY_MS // 2 + 1}))
    log.append([facts])
    return log


def test_a_refresh_on_the_cluster_encodes_what_is_new_and_moves_current(small_run: Run) -> None:
    config = config_of(small_run)
    registry.publish(small_run.storage, small_run.artifacts["bundle.text"], NAME)
    log = logged(small_run, config)
    made: dict[str, Any] = {}
    answer = take_turn(config, small_run.storage, lambda stage, found, _: made.update(found))
    pointer = registry.current(small_run.storage, NAME)
    assert answer["published"]["id"] == pointer["id"] == made["bundle"].id != small_run.artifacts["bundle.text"].id
    assert made["corpus"].manifest.counts["rows_out"] == 900 + 60
    said = {entry.body["words"] for entry in log.since(0, 100)} - {None}
    assert made["embeddings"].manifest.info["encoded"] == len(said) <= 60  # what is new, and nothing else
    assert made["models"].manifest.info["variant"] == "text"
    assert made["models"].manifest.info["warm"] == ["ranker", "retriever.two_tower"]
    assert "0 new events" in take_turn(config, small_run.storage, lambda *_: None)["because"]
    log.close()
