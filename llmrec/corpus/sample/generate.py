"""The built-in corpus: generated, seeded, of any size, with a known truth.

A shopper has two tastes. The *visible* one is for categories and brands: ids, metadata and co-occurrence show it. The
*worded* one is for qualities ("quiet", "easy to repair"): shoppers write what they look for, descriptions and reviews
say what a product offers, and no column names it. `text_share` mixes the two. Purchases then follow a random-utility
model (McFadden 1974): a shopper sees some products, drawn by popularity and novelty, and takes the one of highest
utility = affinity + Gumbel noise. Products are new for a short while and few of a shopper's purchases fall into one
such while, so what co-occurrence tells about the worded taste stays faint; text tells it outright.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from llmrec.config.data.corpus import SampleConfig
from llmrec.corpus.sample.text import NONE, Ints, Sentences, shuffled
from llmrec.corpus.sample.words import LANGUAGES, N_ASPECTS, N_CATEGORIES, SYLLABLES
from llmrec.schema import DAY_MS, ITEMS, REVIEWS, C, event_order, review_id

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]

START_MS = 1_609_459_200_000  # 2021-01-01
PERIOD_MS = 3 * 365 * DAY_MS
N_BRANDS = 20
WANTS = 3  # qualities a shopper looks for, and qualities a product has
LIKED = 4  # brands a shopper likes; half as many categories
SEEN_PER_PURCHASE = 64
TASTE = 2.8  # utility of one match, in units of the Gumbel noise's scale; more, and co-occurrence shows it too
NOVELTY_SHARE = 0.1  # of the period, in which a product's exposure falls to 1/e
OLD_EXPOSURE = 0.05  # exposure that never goes away
N_STEPS = 200  # exposure changes this many times over the period
MAX_ROUNDS = 30


@dataclass(frozen=True)
class SampleTruth:
    """What the generator knows and a recommender must find out. U users, I items, A qualities."""

    text_share: float
    user_ids: list[str]
    item_ids: list[str]
    wants: Bools  # (U, A)
    aspects: Bools  # (I, A)
    liked_categories: Bools  # (U, n_categories)
    liked_brands: Bools  # (U, n_brands)
    category: Ints  # (I,)
    brand: Ints  # (I,)
    popularity: Floats  # (I,) exposure at release, independent of taste
    available: Ints = field(repr=False)  # (I,) ms

    def affinity(self, user_ids: list[str], item_ids: list[str]) -> Floats:
        """(n,) how much user n wants item n, row by row: the utility before noise, without popularity."""
        return self.match(self.user_rows(user_ids), self.item_rows(item_ids))

    def user_rows(self, user_ids: Sequence[str]) -> Ints:
        """(n,) rows of the users. Raises KeyError for somebody else's."""
        return np.array([self._user_row[u] for u in user_ids], np.int64)

    def knows(self, user_ids: Iterable[str], item_ids: Iterable[str]) -> bool:
        """Whether all of them are its own."""
        return set(user_ids) <= self._user_row.keys() and set(item_ids) <= self._item_row.keys()

    def item_rows(self, item_ids: Sequence[str]) -> Ints:
        """(n,) rows of the items. Raises KeyError for another."""
        return np.array([self._item_row[i] for i in item_ids], np.int64)

    def affinities(self, user_id: str) -> Floats:
        """(I,) the affinity of one user to every item, in the order of `item_ids`."""
        rows = np.arange(len(self.item_ids))
        return self.match(np.full(len(rows), self._user_row[user_id]), rows)

    def match(self, users: Ints, items: Ints) -> Floats:
        """Affinity of rows `users` and rows `items`, two arrays of one shape."""
        return self.mixed(self.visible(users, items), self.worded(users, items))

    def visible(self, users: Ints, items: Ints) -> Ints:
        """0 to 2: whether the category and the brand are liked."""
        liked = self.liked_categories[users, self.category[items]].astype(np.int64)
        return np.asarray(liked + self.liked_brands[users, self.brand[items]])

    def worded(self, users: Ints, items: Ints) -> Ints:
        """0 to `WANTS`: the qualities looked for that a product has."""
        return np.asarray(np.bitwise_count(self._want_bits[users] & self._aspect_bits[items]), np.int64)

    def mixed(self, visible: Ints, worded: Ints) -> Floats:
        """The affinity of so many matches of either kind."""
        return np.asarray((1 - self.text_share) * visible + self.text_share * worded, np.float64)

    @cached_property
    def _user_row(self) -> dict[str, int]:
        return {u: row for row, u in enumerate(self.user_ids)}

    @cached_property
    def _item_row(self) -> dict[str, int]:
        return {i: row for row, i in enumerate(self.item_ids)}

    @cached_property
    def _want_bits(self) -> npt.NDArray[np.uint32]:
        return _bits(self.wants)

    @cached_property
    def _aspect_bits(self) -> npt.NDArray[np.uint32]:
        return _bits(self.aspects)


@dataclass(frozen=True)
class SampleCorpus:
    """`reviews` and `items` in the schemas of `schema.py`, events in order, and the truth behind them."""

    reviews: pa.Table
    items: pa.Table
    truth: SampleTruth
    bought: "Purchases"


@dataclass(frozen=True)
class Purchases:
    """What was bought, and is reviewed, in order of time."""

    user: Ints  # (n,) rows, in order of time
    item: Ints
    timestamp: Ints


def generate(config: SampleConfig) -> SampleCorpus:
    """The corpus of `config`: the same for the same seed, on every machine."""
    rng = np.random.default_rng(config.seed)
    truth = draw_truth(config, rng)
    events = _buy(truth, *_visits(config, rng), rng)
    stars = _stars(truth, events, rng)
    if config.repeat_share:
        events, stars = _repeat(events, stars, config.repeat_share, rng)
    if config.whole_days:
        events = Purchases(events.user, events.item, events.timestamp // DAY_MS * DAY_MS)
    names = LANGUAGES if config.language == "mixed" else {config.language: LANGUAGES[config.language]}
    sentences = Sentences(list(names.values()), _brands(rng))
    reviews = _write_reviews(config, truth, events, stars, sentences, rng)
    return SampleCorpus(reviews, _write_items(config, truth, sentences, rng), truth, events)


def draw_truth(config: SampleConfig, rng: np.random.Generator | None = None) -> SampleTruth:
    """What is hidden in the corpus of `config`; it is drawn first, so that it is known without the purchases."""
    rng = rng or np.random.default_rng(config.seed)
    n_users, n_items = config.n_users, config.n_items
    return SampleTruth(
        text_share=config.text_share,
        user_ids=[f"U{n:07d}" for n in rng.permutation(n_users)],
        item_ids=[f"P{n:07d}" for n in rng.permutation(n_items)],
        wants=_choose(n_users, N_ASPECTS, WANTS, rng),
        aspects=_choose(n_items, N_ASPECTS, WANTS, rng),
        liked_categories=_choose(n_users, N_CATEGORIES, LIKED // 2, rng),
        liked_brands=_choose(n_users, N_BRANDS, LIKED, rng),
        category=rng.integers(0, N_CATEGORIES, n_items),
        brand=rng.integers(0, N_BRANDS, n_items),
        popularity=rng.lognormal(0, config.skew, n_items),
        available=_releases(config, rng),
    )


def _choose(n: int, size: int, k: int, rng: np.random.Generator) -> Bools:
    """(n, size), k of them true in each row."""
    chosen = np.zeros((n, size), bool)
    np.put_along_axis(chosen, np.argsort(rng.random((n, size)), axis=1)[:, :k], True, axis=1)
    return chosen


def _bits(flags: Bools) -> npt.NDArray[np.uint32]:
    packed: npt.NDArray[np.uint32] = (flags @ (1 << np.arange(flags.shape[1]))).astype(np.uint32)
    return packed


def _releases(config: SampleConfig, rng: np.random.Generator) -> Ints:
    """(I,) ms: four in ten products are there at the start, the others come until shortly before the end."""
    share = rng.uniform(0, 0.97, config.n_items)
    share[: -(-config.n_items * 4 // 10)] = -rng.uniform(0, 0.3, -(-config.n_items * 4 // 10))
    released: Ints = (START_MS + share * PERIOD_MS).astype(np.int64) // DAY_MS * DAY_MS
    return rng.permutation(released)


def _visits(config: SampleConfig, rng: np.random.Generator) -> tuple[Ints, Ints]:
    """(user rows (n,), ms (n,)) in order of time; how much somebody buys is skewed, newcomers arrive to the end."""
    arrivals = rng.uniform(0, 0.95, config.n_users)
    activity = rng.lognormal(0, 0.8, config.n_users) * (1 - arrivals)
    first = np.arange(min(config.n_users, config.n_reviews))
    more = rng.choice(config.n_users, config.n_reviews - len(first), p=activity / activity.sum())
    user = np.concatenate([first, more])
    arrival = arrivals[user]
    share = arrival + (1 - arrival) * rng.random(len(user))
    timestamp = START_MS + (share * PERIOD_MS).astype(np.int64) // 1000 * 1000
    order = np.argsort(timestamp, kind="stable")
    return user[order], timestamp[order]


def _buy(truth: SampleTruth, user: Ints, timestamp: Ints, rng: np.random.Generator) -> Purchases:
    """What each visit ends in. A pair bought before is chosen anew, so that everybody buys a product once."""
    item = np.full(len(user), NONE, np.int64)
    pending = np.arange(len(user))
    for _ in range(MAX_ROUNDS):
        item[pending] = pick(truth, user[pending], timestamp[pending], rng)
        _, kept = np.unique(user * len(truth.item_ids) + item, return_index=True)
        pending = np.setdiff1d(np.arange(len(user)), kept)
        if not len(pending):
            break
    item[pending] = NONE
    _take_the_rest(truth, user, item, timestamp, pending, rng)
    done = item != NONE
    return Purchases(user[done], item[done], timestamp[done])


def pick(truth: SampleTruth, user: Ints, timestamp: Ints, rng: np.random.Generator) -> Ints:
    """(n,) items: of `SEEN_PER_PURCHASE` seen, the one of highest utility (the Gumbel trick samples a softmax)."""
    item = np.empty(len(user), np.int64)
    step = step_of(timestamp)
    for now in np.unique(step):
        low, high = np.searchsorted(step, [now, now + 1])
        shown = np.cumsum(exposure(truth, int(now)))
        draws = rng.random((high - low, SEEN_PER_PURCHASE)) * shown[-1]
        seen = np.searchsorted(shown, draws, side="right")
        affinity = truth.match(np.broadcast_to(user[low:high, None], seen.shape), seen)
        best = np.argmax(TASTE * affinity + rng.gumbel(size=seen.shape), axis=1)
        item[low:high] = np.take_along_axis(seen, best[:, None], axis=1)[:, 0]
    return item


def step_of(timestamp: Ints) -> Ints:
    """The step of the period that each time (ms) lies in."""
    return np.asarray((timestamp - START_MS) * N_STEPS // PERIOD_MS)


def exposure(truth: SampleTruth, step: int) -> Floats:
    """(I,) how often each product is seen, in proportion, during a step."""
    age = (START_MS + step * PERIOD_MS // N_STEPS - truth.available) / (NOVELTY_SHARE * PERIOD_MS)
    novelty = OLD_EXPOSURE + np.exp(-np.maximum(age, 0))
    return np.where(age >= 0, truth.popularity * novelty, 0)


def _take_the_rest(
    truth: SampleTruth, user: Ints, item: Ints, timestamp: Ints, pending: Ints, rng: np.random.Generator
) -> None:
    """Give the few visits left over any product not yet had; a visit stays without one where none is left."""
    for visit in pending:
        had = item[user == user[visit]]
        left = np.setdiff1d(np.flatnonzero(truth.available <= timestamp[visit]), had)
        if len(left):
            item[visit] = rng.choice(left)


def _stars(truth: SampleTruth, events: Purchases, rng: np.random.Generator) -> Ints:
    liking = 2.7 + 1.2 * truth.match(events.user, events.item) + rng.normal(0, 0.7, len(events.user))
    return np.clip(np.rint(liking), 1, 5).astype(np.int64)


def _repeat(events: Purchases, stars: Ints, share: float, rng: np.random.Generator) -> tuple[Purchases, Ints]:
    """Adds second reviews of pairs reviewed before, up to 30 days later."""
    again = rng.choice(len(stars), int(share * len(stars)), replace=False)
    later = events.timestamp[again] + rng.integers(1, 30 * 86_400, len(again)) * 1000
    rows = np.concatenate([np.arange(len(stars)), again])
    timestamp = np.concatenate([events.timestamp, later])
    order = np.argsort(timestamp, kind="stable")
    rows = rows[order]
    return Purchases(events.user[rows], events.item[rows], timestamp[order]), stars[rows]


def _brands(rng: np.random.Generator) -> list[str]:
    names: dict[str, None] = {}
    while len(names) < N_BRANDS:
        names["".join(rng.choice(SYLLABLES, 3)).capitalize()] = None
    return list(names)


def _ordered(flags: Bools, rng: np.random.Generator) -> Ints:
    """(n, A): the true columns of each row first, in random order, then the false ones, in random order."""
    return np.argsort(rng.random(flags.shape) - flags, axis=1)


def _write_reviews(
    config: SampleConfig, truth: SampleTruth, events: Purchases, stars: Ints, sentences: Sentences,
    rng: np.random.Generator,
) -> pa.Table:  # fmt: skip
    n = len(stars)
    language = rng.integers(0, len(sentences.languages), len(truth.user_ids))[events.user]
    has, wants, lacks = _spoken_of(truth, events, stars, rng)
    noun = truth.category[events.item]
    if config.noise_text:
        has, wants, lacks, noun = _nonsense(n, rng)
    variant = rng.integers(0, 3 * 4 * 10, (n, 5))
    body = np.stack(
        [
            sentences.praise(language, has[:, 0], variant[:, 0]),
            sentences.praise(language, has[:, 1], variant[:, 1]),
            sentences.wish(language, wants[:, 0], wants[:, 1], variant[:, 2]),
            np.where(lacks == NONE, NONE, sentences.lack(language, lacks)),
            np.where(rng.random(n) < 0.5, NONE, sentences.filler(language, variant[:, 3])),
        ],
        axis=1,
    )
    opening = sentences.opening(language, stars, variant[:, 4], noun)
    text = sentences.say(np.concatenate([opening[:, None], shuffled(body, rng)], axis=1), language)
    title = sentences.say(sentences.headline(language, stars, variant[:, 0])[:, None], language)
    return _review_table(truth, events, stars, title, text)


def _spoken_of(truth: SampleTruth, events: Purchases, stars: Ints, rng: np.random.Generator) -> tuple[Ints, Ints, Ints]:
    """Qualities named in each review: two that the product has, two that are wanted, and one missed or NONE."""
    has = _ordered(truth.aspects[events.item], rng)[:, :2]
    wants = _ordered(truth.wants[events.user], rng)[:, :2]
    missing = truth.wants[events.user] & ~truth.aspects[events.item]
    complains = missing.any(axis=1) & (stars <= 2)
    return has, wants, np.where(complains, _ordered(missing, rng)[:, 0], NONE)


def _nonsense(n: int, rng: np.random.Generator) -> tuple[Ints, Ints, Ints, Ints]:
    """The same as `_spoken_of`, and the noun, drawn at random: words that carry nothing."""
    two = np.argsort(rng.random((n, N_ASPECTS)), axis=1)[:, :4]
    return two[:, :2], two[:, 2:], np.full(n, NONE), rng.integers(0, N_CATEGORIES, n)


def _review_table(truth: SampleTruth, events: Purchases, stars: Ints, title: pa.Array, text: pa.Array) -> pa.Table:
    users = [truth.user_ids[u] for u in events.user]
    items = [truth.item_ids[i] for i in events.item]
    columns = {
        C.REVIEW_ID: [review_id(*key) for key in zip(users, items, events.timestamp.tolist(), strict=True)],
        C.USER_ID: users,
        C.ITEM_ID: items,
        C.TIMESTAMP: events.timestamp,
        C.EVENT_ORDER: event_order(users, items),
        C.STARS: stars.astype(np.float32),
        C.TITLE: title,
        C.TEXT: text,
    }
    table = pa.table([pa.array(columns[f.name], f.type) for f in REVIEWS], REVIEWS)
    return table.sort_by([(C.TIMESTAMP, "ascending"), (C.EVENT_ORDER, "ascending")])


def _write_items(config: SampleConfig, truth: SampleTruth, sentences: Sentences, rng: np.random.Generator) -> pa.Table:
    n = len(truth.item_ids)
    language = rng.integers(0, len(sentences.languages), n)
    aspects, noun = _ordered(truth.aspects, rng)[:, :2], truth.category  # the third is for reviews to tell
    if config.noise_text:
        aspects, _, _, noun = _nonsense(n, rng)
    variant = rng.integers(0, 60, (n, 2))
    told = [sentences.praise(language, aspects[:, k], variant[:, k]) for k in range(2)]
    listing = sentences.listing(language, noun, truth.brand)
    description = sentences.say(np.stack([listing, *told], axis=1), language)
    name = sentences.say(sentences.name(language, noun, truth.brand)[:, None], language)
    nouns = sentences.languages[0].nouns  # a category has one name, whatever the description's language
    columns = {
        C.ITEM_ID: truth.item_ids,
        C.TITLE: [f"{x} {number}" for x, number in zip(name.to_pylist(), rng.integers(100, 1000, n), strict=True)],
        C.DESCRIPTION: description,
        C.BRAND: [sentences.brands[b] for b in truth.brand],
        C.PRICE: np.round(rng.lognormal(3 + truth.category / 5, 0.4), 2).astype(np.float32),
        C.CATEGORIES: [[nouns[c]] for c in truth.category],
        C.AVAILABLE_FROM: truth.available,
        C.AVAILABLE_UNTIL: [None] * n,
    }
    return pa.table([pa.array(columns[f.name], f.type) for f in ITEMS], ITEMS)
