"""Of a turn's new events one item and one user may have a share, and the later ones are held back."""

from collections import Counter

import numpy as np

from llmrec.config.serving.refresh import RefreshConfig
from llmrec.refresh.burst import Caps, held_back

SETTINGS = RefreshConfig(item_share=0.02, user_share=0.02, growth=3, least_held=20)


def organic(n: int, seed: int = 0) -> list[tuple[str, str]]:
    rng = np.random.default_rng(seed)
    return [(f"u{rng.integers(400)}", f"i{rng.integers(100)}") for _ in range(n)]


def judged(pairs: list[tuple[str, str]], usual: dict[str, float], settings: RefreshConfig = SETTINGS) -> dict[int, str]:
    events = [(seq, user, item) for seq, (user, item) in enumerate(pairs)]
    return held_back(events, Caps(settings, len(events), usual))


def test_a_thousand_fake_events_give_an_item_no_more_than_the_bound_stated_before() -> None:
    fakes = [(f"bot{n}", "pushed") for n in range(1000)]
    pairs = organic(1500)
    mixed = [pair for both in zip(fakes, pairs, strict=False) for pair in both] + pairs[1000:]
    held = judged(mixed, {})
    bound = Caps(SETTINGS, len(mixed), {}).of_item("pushed")
    assert bound == 50  # 2 % of 2,500
    assert Counter(held.values()) == {"item": 1000 - bound}
    assert {mixed[seq][1] for seq in held} == {"pushed"}
    assert min(held) > bound  # the first ones pass


def test_one_user_who_sends_a_thousand_is_held_back_too() -> None:
    pairs = [("bot", f"i{n}") for n in range(1000)] + organic(1000)
    held = judged(pairs, {})
    assert set(held.values()) == {"user"}
    assert len(held) == 1000 - 40 and {pairs[seq][0] for seq in held} == {"bot"}


def test_what_has_always_had_many_may_have_more_and_trusted_ids_as_many_as_they_like() -> None:
    pairs = [(f"u{n}", "hit") for n in range(300)] + organic(700)
    assert len(judged(pairs, {})) == 300 - 20
    assert len(judged(pairs, {"hit": 0.08})) == 300 - 240
    assert not judged(pairs, {}, SETTINGS.model_copy(update={"trusted": ("hit",)}))


def test_few_events_are_never_too_many() -> None:
    assert not judged([("one", "item")] * 20, {})
    assert list(judged([("one", "item")] * 21, {}).values()) == ["item"]
