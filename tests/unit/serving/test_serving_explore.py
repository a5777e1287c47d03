"""`explore` over HTTP: drawn slots with their propensities."""

import pytest
from starlette.testclient import TestClient

from llmrec.bundle import Bundle


def asked(client: TestClient, **explore: object) -> list[dict[str, object]]:
    answer = client.post("/v1/recommend", json={"user_id": "u3", "k": 6, "explore": explore})
    assert answer.status_code == 200, answer.text
    items: list[dict[str, object]] = answer.json()["items"]
    return items


@pytest.mark.parametrize("policy", ["epsilon", "thompson"])
def test_slots_are_drawn_and_say_how_likely_that_was(client: TestClient, policy: str) -> None:
    plain = [i["item_id"] for i in client.post("/v1/recommend", json={"user_id": "u3", "k": 6}).json()["items"]]
    calm = asked(client, policy=policy, rate=0)
    assert [i["item_id"] for i in calm] == plain and {i["propensity"] for i in calm} == {1.0}
    drawn = [asked(client, policy=policy, rate=1, seed=seed) for seed in range(8)]
    assert any([i["item_id"] for i in items] != plain for items in drawn)
    assert all(0 < i["propensity"] <= 1 for items in drawn for i in items)  # type: ignore[operator]
    assert drawn[3] == asked(client, policy=policy, rate=1, seed=3)
    if policy == "epsilon":
        assert [i["propensity"] for i in drawn[0]] == pytest.approx([1 / n for n in range(20, 14, -1)])


def test_drawn_items_keep_their_scores_and_reasons_and_stay_within_what_is_allowed(client: TestClient) -> None:
    body = {"user_id": "u3", "k": 20, "exclude": ["i1", "i2"], "reasons": True}
    plain = {i["item_id"]: i for i in client.post("/v1/recommend", json=body).json()["items"]}
    explored = client.post("/v1/recommend", json=body | {"explore": {"policy": "epsilon", "rate": 0.5}}).json()["items"]
    for item in explored:
        assert item["score"] == pytest.approx(plain[item["item_id"]]["score"])
        said = sum(item["reasons"]["contributions"].values())
        assert said == pytest.approx(item["score"] - item["reasons"]["baseline"], abs=2e-3)


@pytest.mark.parametrize("explore", [{"policy": "greed", "rate": 0.1}, {"policy": "epsilon", "rate": 2}, {"rate": 0}])
def test_what_is_no_policy_is_refused(client: TestClient, explore: dict[str, object]) -> None:
    answer = client.post("/v1/recommend", json={"user_id": "u3", "explore": explore})
    assert answer.status_code == 422 and "explore" in answer.json()["details"][0]["where"]


def test_demand_is_that_of_the_longest_window(parts, client) -> None:  # type: ignore[no-untyped-def]
    import numpy as np

    from llmrec.exploration import demand
    from llmrec.features.families.behaviour import rates

    bundle = Bundle.load(f"{parts.storage.root}/bundle/first")
    rows, time = np.arange(1, 12), bundle.last_time
    events, days = demand(bundle.history, rows, time)
    state = bundle.history.items_at(rows, np.full(len(rows), time))
    expected = rates(state, bundle.history.settings.popularity_days)[:, -1]
    np.testing.assert_allclose(np.log((events + 0.5) / (days + 3)), expected, atol=1e-6)
