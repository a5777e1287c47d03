"""Clusters both ways, gates, four verdicts, and that no seed of the resampling decides one."""

import time
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import norm

from llmrec.evaluation.records.estimates import Comparison
from llmrec.evaluation.statistics.bootstrap import Bootstrap, Tail
from llmrec.evaluation.statistics.comparisons import Pair, compare, gated
from llmrec.evaluation.statistics.power import effort

USERS, ITEMS, ROWS = 200, 60, 600


def draw(rng: np.random.Generator, spread: float = 1.0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Users, items and values whose noise is of both, the true mean being 0."""
    user, item = rng.integers(USERS, size=ROWS), rng.integers(ITEMS, size=ROWS)
    by_user, by_item = rng.normal(size=USERS)[user], spread * rng.normal(size=ITEMS)[item]
    return user, item, by_user + by_item + rng.normal(size=ROWS)


def pair(bootstrap: Bootstrap, a: np.ndarray, b: np.ndarray, name: str = "b") -> Pair:
    return Pair("a", name, "ndcg@10", *bootstrap.means([a, b]))


def judged(bootstrap: Bootstrap, a: np.ndarray, b: np.ndarray, margin: float | None = None) -> Comparison:
    return compare([pair(bootstrap, a, b)], 0.95, margin)[0]


def misses(by_item: bool, seeds: range) -> int:
    """How often a 95 % interval leaves out the truth."""
    found = 0
    for seed in seeds:
        user, item, values = draw(np.random.default_rng(seed))
        e = Bootstrap(user, 100, 0, item if by_item else None).means([values])[0].estimate(0.95)
        assert e.low is not None and e.high is not None
        found += not e.low <= 0 <= e.high
    return found


def test_intervals_by_user_and_item_cover_and_those_by_user_alone_do_not() -> None:
    assert 1 <= misses(by_item=True, seeds=range(300)) <= 27  # binomial(300, .05): 15 ± 12
    assert misses(by_item=False, seeds=range(300)) > 45


def test_where_items_do_not_matter_they_cost_little() -> None:
    ratios = []
    for seed in range(20):
        user, item, values = draw(np.random.default_rng(seed), spread=0.0)
        both, alone = (Bootstrap(user, 100, 0, i).means([values])[0].estimate(0.95).se for i in (item, None))
        assert both is not None and alone is not None and both >= alone * (1 - 1e-12)
        ratios.append(both / alone)
    assert np.mean(ratios) < 1.1  # the pigeonhole bootstrap would give more than 1.2


def test_training_seeds_widen_the_interval() -> None:
    user, item, values = draw(np.random.default_rng(0))
    bootstrap = Bootstrap(user, 100, 0, item)
    one = bootstrap.mean(values)
    three = bootstrap.mean(values, seeds=(one.value - 1, one.value, one.value + 1))
    assert one.estimate(0.95).se == pytest.approx((three.estimate(0.95).se ** 2 - 1 / 3) ** 0.5)
    against = bootstrap.mean(values * 0 + np.arange(ROWS) % 2)
    found = compare([Pair("a", "b", "ndcg@10", three, against)], 0.95)[0]
    assert found.seed_se == pytest.approx(3**-0.5)


@pytest.mark.parametrize("effect", [0.0, 0.15, 0.25, 0.4])
def test_twelve_seeds_of_the_resampling_give_one_verdict(effect: float) -> None:
    user, item, noise = draw(np.random.default_rng(1), spread=0.2)
    base = np.random.default_rng(2).random(ROWS) + 1
    verdicts, shown = set(), set()
    for seed in range(12):
        bootstrap = Bootstrap(user, 100_000, seed, item)
        primary = [pair(bootstrap, base + noise / 4 + effect, base, n) for n in ("no_text", "best")]
        behind = [pair(bootstrap, base + noise / 4 + effect * k, base, f"m{k}") for k in range(5)]
        first, rest = gated(primary, behind, 0.95, 0.03)
        verdicts.add(tuple(c.verdict for c in [*first, *rest]))
        shown.add(tuple(c.difference.low for c in first))
        for c in rest:
            assert c.monte_carlo is not None and c.difference.se is not None
            assert 0 < c.monte_carlo < 0.01 * c.difference.se
    assert len(verdicts) == 1 and len(shown) == 1


def test_what_hangs_on_the_draws_is_not_told() -> None:
    """The effect at which a verdict tips: within two Monte Carlo errors of it none of many draws may claim it."""
    user, item, noise = draw(np.random.default_rng(1), spread=0.2)
    base = np.random.default_rng(2).random(ROWS) + 1
    others = [np.random.default_rng(k).normal(size=ROWS) / 4 for k in range(20, 26)]

    def behind(effect: float, resamples: int, seed: int = 0) -> Comparison:
        bootstrap = Bootstrap(user, resamples, seed, item)
        pairs = [pair(bootstrap, base + noise / 4 + effect, base), *(pair(bootstrap, base + o, base) for o in others)]
        return compare(pairs, 0.95)[0]

    start = behind(0.0, 2_000)
    assert start.difference.low is not None and start.monte_carlo is not None
    just_clear = behind(-start.difference.low + start.monte_carlo, 2_000)
    assert just_clear.difference.low is not None and just_clear.difference.low > 0
    assert just_clear.verdict == "cannot tell", "the interval excludes zero by less than the draws are worth"
    assert behind(-start.difference.low + 3 * start.monte_carlo, 2_000).verdict == "better"


def test_relative_and_absolute_intervals_agree_about_zero() -> None:
    agreed = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        user, item, noise = draw(rng)
        base = np.maximum(rng.normal(0.3, 1, ROWS), 0)
        c = judged(Bootstrap(user, 100, 0, item), base * rng.uniform(0.8, 1.2) + noise / 20, base)
        assert c.difference.low is not None and c.difference.high is not None
        if c.ratio and c.ratio.low is not None and c.ratio.high is not None:
            assert (c.ratio.low > 0, c.ratio.high < 0) == (c.difference.low > 0, c.difference.high < 0)
            agreed += 1
    assert agreed > 150


def test_a_base_that_may_be_zero_has_no_relative_interval() -> None:
    user, item, noise = draw(np.random.default_rng(3))
    assert judged(Bootstrap(user, 100, 0, item), noise, np.abs(noise) * 0 + noise / 2).ratio is None


def test_no_difference_larger_than_the_margin_is_an_answer() -> None:
    user, item, noise = draw(np.random.default_rng(4))
    base = np.full(ROWS, 0.5) + np.arange(ROWS) % 2 * 0.1
    bootstrap = Bootstrap(user, 100, 0, item)
    small, wide = (judged(bootstrap, base + noise * s, base, margin=0.03) for s in (0.01, 0.3))
    assert (small.verdict, wide.verdict) == ("no difference", "cannot tell")
    assert small.margin == pytest.approx(0.03 * base.mean(), rel=1e-6)


def test_nothing_behind_a_closed_gate_is_claimed() -> None:
    user, item, noise = draw(np.random.default_rng(5), spread=0.1)
    base, bootstrap = np.random.default_rng(6).random(ROWS) + 1, Bootstrap(user, 20_000, 0, item)
    nothing = pair(bootstrap, base + noise / 4 - (noise / 4).mean(), base, "no_text")
    strong, weak = (pair(bootstrap, base + noise / 4 + x, base) for x in (1.0, 0.0))
    first, rest = gated([nothing], [strong, weak], 0.95)
    assert first[0].verdict == "cannot tell" and [c.verdict for c in rest] == ["cannot tell"] * 2
    assert rest[0].closed and rest[0].difference.low is not None and rest[0].difference.low > 0
    opened, rest = gated([strong], [strong, weak], 0.95)
    assert opened[0].verdict == "better" and rest[0].verdict == "better" and not rest[0].closed
    half = gated([strong, nothing], [strong, weak], 0.95)[1]  # half of the error rate is left
    assert rest[0].difference.low is not None and half[0].difference.low is not None
    assert half[0].difference.low < rest[0].difference.low


def test_few_clusters_widen_the_interval() -> None:
    rng = np.random.default_rng(7)
    item = np.arange(ROWS) % 4
    few = Bootstrap(np.arange(ROWS), 100, 0, item).means([rng.normal(size=ROWS)])[0].estimate(0.95)
    assert few.se is not None and few.high is not None
    assert few.high - few.value == pytest.approx(3.182 * few.se, rel=1e-3)  # Student's t, 3 degrees of freedom


def test_the_effort_is_what_finds_the_difference() -> None:
    user, item, noise = draw(np.random.default_rng(8))
    base = np.full(ROWS, 1.0)
    c = judged(Bootstrap(user, 100, 0, item), base + noise, base)
    assert c.smallest_detectable is not None
    same = effort(c, 1.0, c.smallest_detectable, ROWS, 1)
    assert same is not None and (same.queries, same.origins, same.measured_seeds) == (ROWS, 1, 1)
    half = effort(c, 1.0, c.smallest_detectable / 2, ROWS, 1)
    assert half is not None and half.queries == pytest.approx(4 * ROWS, abs=1) and half.origins in (4, 5)
    noisy = effort(c.model_copy(update={"seed_se": c.difference.se / 2}), 1.0, c.smallest_detectable, ROWS, 3)
    assert noisy is not None and noisy.seeds == 8  # 3 · ¼ of the variance, down to a tenth
    assert effort(c.model_copy(update={"smallest_detectable": None}), 1.0, 0.03, ROWS, 1) is None


def test_a_verdict_of_no_difference_needs_its_margin() -> None:
    user, item, noise = draw(np.random.default_rng(9))
    c = judged(Bootstrap(user, 100, 0, item), noise, noise * 0.9)
    with pytest.raises(ValueError, match="margin"):
        Comparison(**c.model_dump() | {"verdict": "no difference", "margin": 1e-9})


def test_the_default_is_quick_on_many_columns() -> None:
    """100,000 resamples × 2,000 queries × 30 columns: seconds (here with much to spare for a busy machine)."""
    rng = np.random.default_rng(10)
    user, item = rng.integers(1_500, size=2_000), rng.integers(400, size=2_000)
    bootstrap, values = Bootstrap(user, 100_000, 0, item), rng.random((31, 2_000))
    started = time.process_time()
    drawn = bootstrap.means(list(values))
    found = compare([Pair("a", f"b{k}", "ndcg@10", drawn[0], d) for k, d in enumerate(drawn[1:])], 0.95)
    assert len(found) == 30 and time.process_time() - started < 10
    assert all(c.monte_carlo is not None and c.difference.se is not None and c.monte_carlo < c.difference.se / 50
               for c in found)  # fmt: skip


def test_seeds_of_one_model_alone_are_counted() -> None:
    user, item, values = draw(np.random.default_rng(11))
    bootstrap = Bootstrap(user, 100, 0, item)
    a = bootstrap.mean(values + 3, seeds=(2.0, 3.0, 4.0))
    b = replace(bootstrap.mean(values * 0.5 + 3), seeds=np.empty(0))
    found = compare([Pair("a", "b", "ndcg@10", a, b)], 0.95)[0]
    assert found.seed_se == pytest.approx(3**-0.5)


@pytest.mark.parametrize("share", [0.0, 0.4])
def test_a_p_value_is_that_of_its_critical_value(share: float) -> None:
    tail = Tail(clusters=40, seeds=2, share=share)
    for z in (0.0, 0.5, 1.96, 3.0):
        assert tail.p_value(tail.critical(z)) == pytest.approx(2 * norm.sf(z), rel=1e-6)
    assert tail.critical(1.96) > 1.96 and Tail(40, 2, 0.4).critical(1.96) > Tail(40).critical(1.96)
    assert 0 < tail.p_value(1e6) < 1e-11
