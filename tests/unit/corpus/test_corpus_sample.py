"""The sample corpus: seeded, well formed, and its hidden taste is where `text_share` says it is."""

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from pydantic import ValidationError
from sklearn.feature_extraction.text import TfidfVectorizer

from llmrec.config import RunConfig, SampleConfig
from llmrec.corpus import ingest
from llmrec.corpus.sample import SampleCorpus, generate
from llmrec.corpus.sample.words import LANGUAGES, N_ASPECTS, N_CATEGORIES
from llmrec.schema import DAY_MS, ITEMS, REVIEWS, event_order
from llmrec.storage import Storage

Floats = npt.NDArray[np.float64]
#: Small enough to be followed event by event.
SMALL: dict[str, Any] = {"n_users": 600, "n_items": 300, "n_reviews": 6_000}


@pytest.fixture(scope="module")
def corpus() -> SampleCorpus:
    return generate(SampleConfig(**SMALL, text_share=1.0))


def test_tables_have_their_schemas_and_rows(corpus: SampleCorpus) -> None:
    assert corpus.reviews.schema.equals(REVIEWS) and corpus.items.schema.equals(ITEMS)
    assert (corpus.reviews.num_rows, corpus.items.num_rows) == (6_000, 300)
    rows = corpus.reviews.to_pandas()
    assert rows.review_id.is_unique and not rows.duplicated(["user_id", "item_id"]).any()
    assert rows.user_id.nunique() == 600 and rows[["text", "title", "stars"]].notna().all(axis=None)
    assert (rows.event_order == event_order(rows.user_id, rows.item_id)).all()
    keys = list(zip(rows.timestamp, rows.event_order, strict=True))
    assert keys == sorted(keys)


def test_the_seed_decides_everything() -> None:
    small = {"n_users": 30, "n_items": 40, "n_reviews": 200}
    first, same, other = (generate(SampleConfig(**small, seed=seed)) for seed in (1, 1, 2))
    assert first.reviews.equals(same.reviews) and first.items.equals(same.items)
    assert not first.reviews.equals(other.reviews)


def test_nothing_is_bought_before_it_is_there_and_newcomers_arrive_to_the_end(corpus: SampleCorpus) -> None:
    rows = corpus.reviews.to_pandas().merge(corpus.items.to_pandas()[["item_id", "available_from"]], on="item_id")
    assert (rows.available_from <= rows.timestamp).all()
    late = np.quantile(rows.timestamp, 0.9)
    assert (rows.groupby("user_id").timestamp.min() > late).mean() > 0.02
    assert (corpus.items.column("available_from").to_numpy() > late).mean() > 0.01


def test_popularity_is_skewed_and_stars_follow_the_taste(corpus: SampleCorpus) -> None:
    rows = corpus.reviews.to_pandas()
    counts = rows.item_id.value_counts()
    assert counts.head(60).sum() > 0.3 * len(rows), "a fifth of the products would have a fifth without skew"
    affinity = corpus.truth.affinity(rows.user_id.to_list(), rows.item_id.to_list())
    assert np.corrcoef(affinity, rows.stars)[0, 1] > 0.6
    assert set(rows.stars) == {1, 2, 3, 4, 5}


def test_settings_do_what_they_say() -> None:
    small = {"n_users": 50, "n_items": 300, "n_reviews": 500}
    repeated = generate(SampleConfig(**small, repeat_share=0.2)).reviews.to_pandas()
    assert len(repeated) == 600 and repeated.duplicated(["user_id", "item_id"]).sum() == 100
    days = generate(SampleConfig(**small, whole_days=True)).reviews.column("timestamp").to_numpy()
    assert (days % DAY_MS == 0).all() and len(np.unique(days)) < 500
    with pytest.raises(ValidationError, match="more than half of the n_users x n_items = 20 pairs"):
        SampleConfig(n_users=4, n_items=5, n_reviews=11)
    assert generate(SampleConfig(n_users=4, n_items=5, n_reviews=10)).reviews.num_rows <= 10
    assert generate(SampleConfig(n_users=1, n_items=1, n_reviews=0)).reviews.num_rows == 0


@pytest.mark.parametrize(("language", "word"), [("en", "the"), ("de", "ich"), ("zh", "我"), ("mixed", "我")])
def test_each_language_is_written(language: Any, word: str) -> None:
    corpus = generate(SampleConfig(n_users=50, n_items=60, n_reviews=500, language=language))
    texts = [text.lower() for text in corpus.reviews.column("text").to_pylist()]
    assert sum(word in text for text in texts) > 100
    assert len(set(texts)) > 450, "opinions are varied"


def test_languages_say_the_same_things() -> None:
    for words in LANGUAGES.values():
        assert (len(words.aspects), len(words.nouns)) == (N_ASPECTS, N_CATEGORIES)
        assert len({aspect.want for aspect in words.aspects}) == N_ASPECTS


def _future(corpus: SampleCorpus, language: str = "en") -> dict[str, float]:
    """Recall at 10 of the last tenth of events, point-in-time, by models that know one thing each; and how well the
    text similarity of pairs agrees with their true affinity (`correlation`)."""
    truth = corpus.truth
    rows, items = corpus.reviews.to_pandas(), corpus.items.to_pandas()
    characters = {"analyzer": "char", "ngram_range": (1, 2), "max_features": 1_000} if language == "zh" else {}
    tfidf = TfidfVectorizer(sublinear_tf=True, min_df=2, **characters).fit(rows.text)
    words, told = tfidf.transform(rows.text).toarray(), tfidf.transform(items.description).toarray()
    user = rows.user_id.map({u: n for n, u in enumerate(truth.user_ids)}).to_numpy()
    item = rows.item_id.map({i: n for n, i in enumerate(truth.item_ids)}).to_numpy()
    time, cut = rows.timestamp.to_numpy(), int(0.9 * len(rows))
    sums_u, sums_i = np.zeros((len(truth.user_ids), words.shape[1])), np.zeros((len(items), words.shape[1]))
    n_u, n_i, recent = np.zeros(len(truth.user_ids)), np.zeros(len(items)), np.zeros(len(items))
    had = np.zeros((len(truth.user_ids), len(items)), bool)
    noise, mean = np.random.default_rng(0).random(len(items)) * 1e-9, words.mean(axis=0)
    together = _ease(user[:cut], item[:cut], had.shape)
    hits: dict[str, list[bool]] = {}
    pairs: list[tuple[Floats, Floats]] = []
    for n in range(len(rows)):
        u, i = user[n], item[n]
        recent *= np.exp(-(time[n] - time[max(n - 1, 0)]) / DAY_MS / 90)
        if n >= cut:
            known = (items.available_from.to_numpy() <= time[n]) & ~had[u]
            profile = _unit(told - told.mean(axis=0)) + _unit(sums_i - n_i[:, None] * mean)
            similarity = _unit(profile) @ _unit(sums_u[u] - n_u[u] * mean)
            affinity = truth.affinities(truth.user_ids[u])
            scores = {"popularity": n_i, "recent": recent, "text": np.log(recent + 0.1) + 4 * similarity,
                      "truth": np.log(recent + 0.1) + affinity,
                      "co_occurrence": np.log(recent + 0.1) + 8 * (had[u] @ together)}  # fmt: skip
            for name, score in scores.items():
                score = np.where(known, score + noise, -np.inf)
                hits.setdefault(name, []).append(bool((score > score[i]).sum() < 10))
            if n_u[u]:
                pairs.append((similarity, affinity))
        sums_u[u] += words[n]
        sums_i[i] += words[n]
        n_u[u] += 1
        n_i[i] += 1
        recent[i] += 1
        had[u, i] = True
    similarity, affinity = (np.concatenate([pair[k] for pair in pairs]) for k in range(2))
    return {name: float(np.mean(hit)) for name, hit in hits.items()} | {
        "correlation": float(np.corrcoef(similarity, affinity)[0, 1])
    }


def _unit(vectors: Floats) -> Floats:
    unit: Floats = vectors / (np.linalg.norm(vectors, axis=-1, keepdims=True) + 1e-9)
    return unit


@pytest.mark.parametrize("language", ["en", "zh"])
def test_text_recovers_a_worded_taste_and_the_truth_does_best(corpus: SampleCorpus, language: Any) -> None:
    if language != "en":
        corpus = generate(SampleConfig(**SMALL, text_share=1.0, language=language))
    found = _future(corpus, language)
    assert found["correlation"] > 0.3
    assert found["text"] > found["recent"] + 0.04 and found["recent"] > found["popularity"]
    assert found["truth"] > found["text"]


def test_noise_and_a_visible_taste_leave_nothing_for_text() -> None:
    noise = _future(generate(SampleConfig(**SMALL, text_share=1.0, noise_text=True)))
    assert abs(noise["correlation"]) < 0.03 and noise["text"] < noise["recent"] + 0.01
    assert noise["truth"] > noise["recent"] + 0.04, "the taste is there, only no word of it"


def _ease(user: npt.NDArray[np.int64], item: npt.NDArray[np.int64], shape: tuple[int, ...]) -> Floats:
    """Item-item weights of EASE (Steck 2019), lambda 100."""
    bought = np.zeros(shape)
    bought[user, item] = 1
    inverse = np.linalg.inv(bought.T @ bought + 100 * np.eye(shape[1]))
    weights: Floats = -inverse / np.diag(inverse)
    np.fill_diagonal(weights, 0)
    return weights


@pytest.mark.parametrize("seed", [7, 8])
def test_co_occurrence_does_not_show_what_text_shows(seed: int) -> None:
    found = _future(generate(SampleConfig(**SMALL, text_share=1.0, seed=seed)))
    assert found["text"] > found["co_occurrence"] + 0.04


def test_purchases_follow_the_visible_taste_or_the_worded_one() -> None:
    def shares(text_share: float) -> tuple[float, float]:
        sample = generate(SampleConfig(**SMALL, text_share=text_share))
        users, items = (sample.reviews.column(name).to_pylist() for name in ("user_id", "item_id"))
        visible = replace(sample.truth, text_share=0.0).affinity(users, items).mean()
        worded = replace(sample.truth, text_share=1.0).affinity(users, items).mean()
        return float(visible), float(worded)

    # by chance: 2/10 of the categories + 4/20 of the brands, and 3 x 3/20 of the qualities
    (visible_0, worded_0), (visible_1, worded_1) = shares(0.0), shares(1.0)
    assert visible_0 > 0.8 and abs(worded_0 - 0.45) < 0.05
    assert worded_1 > 0.8 and abs(visible_1 - 0.4) < 0.05


def test_the_sample_goes_through_ingest_and_repeated_pairs_are_events_or_the_last_counts(tmp_path: Any) -> None:
    sample = SampleConfig(n_users=50, n_items=300, n_reviews=500, repeat_share=0.2)
    config = RunConfig.model_validate({"corpus": {"sample": sample.model_dump(), "repeats": "last"}})
    made = ingest(config, Storage(str(tmp_path)))
    every = ingest(RunConfig.model_validate({"corpus": {"sample": sample.model_dump()}}), Storage(str(tmp_path)))
    assert every.manifest.counts["rows_out"] == 600 and every.manifest.info["repeats"] == 100
    assert made.manifest.counts["rows_out"] == 500 and made.manifest.counts["quarantined"] == 100
    assert made.table("items").sort_by("item_id").equals(generate(sample).items.sort_by("item_id"))
    kept = made.table("reviews").to_pandas().set_index(["user_id", "item_id"]).timestamp
    first = generate(sample).reviews.to_pandas().groupby(["user_id", "item_id"]).timestamp.max()
    assert (kept.sort_index() == first.sort_index()).all(), "the last of a pair stays"


@pytest.mark.slow
def test_a_million_reviews_in_bounded_time() -> None:
    corpus = generate(SampleConfig(n_users=100_000, n_items=20_000, n_reviews=1_000_000))
    assert corpus.reviews.num_rows == 1_000_000
