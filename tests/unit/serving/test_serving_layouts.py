"""Fused or composed, retriever and ranker give the same answers; fused, in one call."""

import asyncio
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from factories.serving import NAME, Faulty, Parts, make_parts
from httpx import ASGITransport

from llmrec.bundle import Bundle
from llmrec.config.serving.approximate import ApproximateConfig
from llmrec.models.retrievers.nearest import item_index
from llmrec.models.retrievers.nearest.item_graph import ItemGraph
from serve_app.api import make_api
from serve_app.deployments.stages import RecommenderDeployment
from serve_app.model import open_repository, recall_of_approximate_search
from serve_app.service import RecommendationService

ASKED: tuple[dict[str, Any], ...] = (
    {"user_id": "u3", "k": 7}, {"user_id": "u3", "k": 7, "exclude": ["i1", "i2"]}, {"liked_items": ["i4", "nowhere"]},
    {"text": "small and quiet"}, {"user_id": "nobody"}, {},
)  # fmt: skip


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Parts:
    return make_parts(str(tmp_path_factory.mktemp("layouts")), retrieve=20, max_k=20, request_timeout_s=2)


@pytest.fixture(scope="module")
def recommender(parts: Parts) -> RecommenderDeployment:
    made = RecommenderDeployment(lambda: open_repository(parts.storage.root, NAME, parts.config.retrieve))
    asyncio.run(made.reconfigure({"bundle": "first"}))
    return made


def ask(service: RecommendationService, path: str, *bodies: dict[str, Any]) -> list[dict[str, Any]]:
    async def answers() -> list[dict[str, Any]]:
        async with httpx.AsyncClient(transport=ASGITransport(make_api(service)), base_url="http://here") as client:
            found = [await client.post(path, json=body) for body in bodies]
        assert {answer.status_code for answer in found} == {200}
        return [answer.json() for answer in found]

    return asyncio.run(answers())


def fused(parts: Parts, recommender: Any) -> RecommendationService:
    return RecommendationService.over(parts.encoder, recommender, recommender, parts.config, recommender)


def test_both_layouts_answer_alike(parts: Parts, recommender: RecommenderDeployment) -> None:
    composed = ask(parts.service(), "/v1/recommend", *ASKED)
    assert ask(fused(parts, recommender), "/v1/recommend", *ASKED) == composed
    assert {answer["basis"] for answer in composed} == {"history", "liked_items", "text", "popularity"}
    candidates = {"user_id": "u3", "candidates": ["i1", "i5", "i9"]}
    assert ask(fused(parts, recommender), "/v1/rank", candidates) == ask(parts.service(), "/v1/rank", candidates)


def test_a_fused_answer_takes_one_call_and_a_dead_replica_no_answer_away(
    parts: Parts, recommender: RecommenderDeployment
) -> None:
    called: list[str] = []

    async def note() -> None:
        called.append("once")

    ask(fused(parts, Faulty(recommender, [note, note, note])), "/v1/recommend", {"user_id": "u3"})
    assert called == ["once"]
    broken = fused(parts, Faulty(recommender, [TimeoutError(), TimeoutError()]))
    assert ask(broken, "/v1/recommend", {"user_id": "u3"})[0]["basis"] == "history"


def test_a_fused_replica_swaps_whole_bundles(tmp_path: Path) -> None:
    parts = make_parts(str(tmp_path))
    made = RecommenderDeployment(lambda: open_repository(parts.storage.root, NAME, parts.config.retrieve))

    async def bundle_after(version: str) -> str:
        await made.reconfigure({"bundle": version})
        return str((await made.describe()).bundle)

    assert asyncio.run(bundle_after("first")) == "first"
    assert ask(fused(parts, made), "/v1/recommend", {})[0]["bundle"] == "first"
    assert asyncio.run(bundle_after("second")) == "second"
    assert ask(fused(parts, made), "/v1/recommend", {})[0]["bundle"] == "second"


def test_a_large_catalogue_is_searched_by_a_graph_whose_recall_is_told(parts: Parts) -> None:
    exact, graph, small = (
        open_repository(parts.storage.root, NAME, 20, by).load("first")
        for by in (None, ApproximateConfig(above=10), ApproximateConfig(above=1_000))
    )
    for model in (exact, small):
        assert "recall_of_approximate_search" not in model.card
    assert graph.card["recall_of_approximate_search"] >= 0.95
    towers = [model.recommender.models.retrievers["two_tower"] for model in (exact, graph)]
    moment = exact.as_of // towers[0].refresh_ms  # type: ignore[attr-defined]
    assert [t._index(moment)._graph is not None for t in towers] == [False, True]  # type: ignore[attr-defined]


def test_the_recall_of_a_graph_that_sees_half_is_lower(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle, wanted = Bundle.load(f"{parts.storage.root}/bundle/first"), ApproximateConfig(above=10)
    assert recall_of_approximate_search(bundle, wanted, k=10) > 0.95
    seeing = ItemGraph.search

    def half_blind(self: Any, queries: Any, k: int, among: Any = None, barred: Any = None) -> Any:
        rows = seeing(self, queries, k, among, barred)
        return np.where(rows % 2 == 0, rows, -1)

    monkeypatch.setattr(ItemGraph, "search", half_blind)
    monkeypatch.setattr(item_index, "_VISIT", 0)
    assert recall_of_approximate_search(bundle, wanted, k=10) < 0.8
