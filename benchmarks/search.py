"""What search finds and what a stated need does to lists, against the built-in corpus's truth.

    .venv/bin/python -m benchmarks.search [--config FILE] [--storage ROOT] [--seed N] [--needs .3 .6 …]

On the published bundle of the configuration, with its encoder, in this process; nothing goes over HTTP. `title`: of 40
items drawn at random how many are in the top ten for their own title. `quality`, `category`: the share of the top ten
that fit "something {quality}" and "looking for a {category}". `taste`: the true affinity of the lists of newcomers who
state two of their tastes. `known_*`: the same needs said by known users, and the true affinity of what they then get.
`disliked_*`: known users and newcomers, before and after, who do not want the commonest category of their list, in
words, or its first item: the share of the list of that category, and its true affinity. `gibberish`: of 40 texts of
random letters how many were taken for a need. `seed` draws items, users and sentences: one chose `serving.need`,
another is reported.
"""

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from llmrec.config import load_config
from llmrec.corpus.sample.generate import SampleTruth, draw_truth
from llmrec.corpus.sample.words import LANGUAGES
from llmrec.encoding import make_encoder
from llmrec.registry import current
from llmrec.storage import Storage
from serve_app.messages import RequestUser, Wish
from serve_app.model import ServedModel, load_model, search

Ints = npt.NDArray[np.int64]
K, N_ITEMS, N_USERS = 10, 40, 60
QUALITY = {"en": ("something {}", "I need something {}", "show me what is {}"),
           "de": ("etwas {}", "ich brauche etwas {}"), "zh": ("想要{}的东西", "我需要{}的")}  # fmt: skip
CATEGORY = {"en": ("looking for a {}", "I want to buy a {}"), "de": ("suche eine {}", "ich möchte eine {} kaufen"),
            "zh": ("我在找{}", "想买{}")}  # fmt: skip


@dataclass(frozen=True)
class Asking:
    """A text, and who says it: a row of the truth; what is asked for, a row or a code of it."""

    text: str
    user: int
    wanted: int


@dataclass(frozen=True)
class Questions:
    """What is asked, drawn by a seed."""

    titles: list[Asking]
    qualities: list[Asking]
    categories: list[Asking]
    tastes: list[Asking]
    gibberish: list[str]
    nouns: list[str]  # by category

    def texts(self) -> list[str]:
        asked = (*self.titles, *self.qualities, *self.categories, *self.tastes)
        return list(dict.fromkeys([*(a.text for a in asked), *self.gibberish, *self.nouns]))

    @classmethod
    def draw(cls, truth: SampleTruth, titles: Sequence[str], language: str, seed: int) -> "Questions":
        """`titles` by the truth's rows; `language` is that of the corpus."""
        rng, words = np.random.default_rng(seed), LANGUAGES[language]
        users = rng.permutation(len(truth.user_ids))[:N_USERS].tolist()

        def said(templates: Sequence[str], what: Sequence[str]) -> list[Asking]:
            return [Asking(templates[int(rng.integers(len(templates)))].format(word), users[n % len(users)], n)
                    for n, word in enumerate(what)]  # fmt: skip

        tastes = []
        for user in users:
            a, b = rng.permutation(np.flatnonzero(truth.wants[user]))[:2]
            wish = words.wish[rng.integers(len(words.wish))]
            tastes.append(Asking(wish.format(a=words.aspects[a].want, b=words.aspects[b].want), user, user))
        drawn = rng.choice(len(titles), min(N_ITEMS, len(titles)), replace=False).tolist()
        letters = ("".join(rng.choice(list("bcdfghjklmnpqrstvwxyz"), 6)) for _ in range(2 * N_ITEMS))
        return cls(
            [Asking(titles[row], users[n % len(users)], row) for n, row in enumerate(drawn)],
            said(QUALITY[language], [aspect.want for aspect in words.aspects]),
            said(CATEGORY[language], words.nouns), tastes,
            [" ".join(pair) for pair in zip(letters, letters, strict=True)], list(words.nouns),
        )  # fmt: skip


@dataclass(frozen=True)
class Lists:
    """The bundle's answers as rows of the truth; `vectors` are those of the texts."""

    model: ServedModel
    truth: SampleTruth
    vectors: dict[str, npt.NDArray[np.float32]]

    def rows(self, item_ids: Sequence[str]) -> Ints:
        return self.truth.item_rows(item_ids)

    def found(self, text: str) -> Ints:
        answer = search(self.model, RequestUser(wish=Wish(text, self.vectors[text])), None, K)
        assert answer is not None
        return self.rows([item.item_id for item in answer.items])

    def recommended(self, text: str, need: float, user: int | None = None) -> Ints:
        """For a newcomer, or the user at a row of the truth."""
        vector = self.vectors[text]
        name = None if user is None else self.truth.user_ids[user]
        asking = RequestUser(name, vector=vector if user is None else None, wish=Wish(text, vector), need=need)
        return self.rows(self.model.recommend(asking, (), None, K)[0].item_ids)

    def of(self, asking: Asking, known: bool, **more: Any) -> Ints:
        """The list of a user who is known, or who states their taste, and says `more`."""
        vector, name = self.vectors[asking.text], self.truth.user_ids[asking.user]
        user = RequestUser(name, **more) if known else RequestUser(vector=vector, **more)
        return self.rows(self.model.recommend(user, (), None, K)[0].item_ids)

    def basis(self, text: str) -> str:
        vector = self.vectors[text]
        asking = RequestUser(vector=vector, wish=Wish(text, vector), need=1)
        return self.model.recommend(asking, (), None, K)[0].provenance.basis

    def fits(self, asked: Sequence[Asking], what: str, rows: Sequence[Ints]) -> float:
        """Mean over questions of the share of a list that has the quality, or is of the category."""
        truth = self.truth
        share = [
            (truth.aspects[found, a.wanted] if what == "quality" else truth.category[found] == a.wanted).mean()
            for a, found in zip(asked, rows, strict=True)
        ]
        return round(float(np.mean(share)), 3)

    def affinity(self, asked: Sequence[Asking], rows: Sequence[Ints]) -> float:
        """Mean true affinity of lists to who asks."""
        found = [self.truth.match(np.full(len(r), a.user), r).mean() for a, r in zip(asked, rows, strict=True)]
        return round(float(np.mean(found)), 3)


def of_search(lists: Lists, asked: Questions) -> dict[str, float]:
    """What `/v1/search` finds."""
    return {
        "title": sum(a.wanted in lists.found(a.text) for a in asked.titles),
        "quality": lists.fits(asked.qualities, "quality", [lists.found(a.text) for a in asked.qualities]),
        "category": lists.fits(asked.categories, "category", [lists.found(a.text) for a in asked.categories]),
        "gibberish": sum(lists.basis(text) != "popularity" for text in asked.gibberish),
    }


def of_need(lists: Lists, asked: Questions, need: float) -> dict[str, float]:
    """What `/v1/recommend` lists where words weigh `need`."""
    new = {name: [lists.recommended(a.text, need) for a in getattr(asked, name)] for name in
           ("titles", "qualities", "categories", "tastes")}  # fmt: skip
    known = {name: [lists.recommended(a.text, need, a.user) for a in getattr(asked, name)] for name in
             ("qualities", "categories")}  # fmt: skip
    return {
        "title": sum(a.wanted in rows for a, rows in zip(asked.titles, new["titles"], strict=True)),
        "quality": lists.fits(asked.qualities, "quality", new["qualities"]),
        "category": lists.fits(asked.categories, "category", new["categories"]),
        "taste": lists.affinity(asked.tastes, new["tastes"]),
        "known_quality": lists.fits(asked.qualities, "quality", known["qualities"]),
        "known_category": lists.fits(asked.categories, "category", known["categories"]),
        "known_affinity": lists.affinity([*asked.qualities, *asked.categories],
                                         [*known["qualities"], *known["categories"]]),
    }  # fmt: skip


def of_dislikes(lists: Lists, asked: Questions, known: bool) -> dict[str, float]:
    """Shares of the category that is not wanted and true affinities: of the lists as they were, and of those then."""
    truth, ids = lists.truth, lists.truth.item_ids
    before = [lists.of(a, known) for a in asked.tastes]
    commonest = [int(np.bincount(truth.category[rows]).argmax()) for rows in before]
    wishes = [Wish(asked.nouns[c], lists.vectors[asked.nouns[c]]) for c in commonest]
    first = [ids[next(int(r) for r in rows if truth.category[r] == c)]
             for rows, c in zip(before, commonest, strict=True)]  # fmt: skip
    told = {
        "before": before,
        "by_words": [lists.of(a, known, unwanted=w) for a, w in zip(asked.tastes, wishes, strict=True)],
        "by_item": [lists.of(a, known, disliked=(item,)) for a, item in zip(asked.tastes, first, strict=True)],
    }
    share = {name: np.mean([(truth.category[r] == c).mean() for r, c in zip(rows, commonest, strict=True)])
             for name, rows in told.items()}  # fmt: skip
    return {name: round(float(value), 3) for name, value in share.items()} | {
        f"affinity_{name}": lists.affinity(asked.tastes, rows) for name, rows in told.items()
    }


def main() -> None:
    """Print one JSON line last."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--config", default="configs/quickstart.yaml")
    arguments.add_argument("--storage", default=None, help="where the published bundle lies; that of the configuration")
    arguments.add_argument("--seed", type=int, default=2)
    arguments.add_argument(
        "--needs", type=float, nargs="*", default=None, help="weights; 0 and serving.need if left out"
    )
    given = arguments.parse_args()
    config = load_config(given.config, [f"storage={given.storage}"] if given.storage else [])
    if config.corpus.source != "sample" or config.corpus.sample.language not in QUALITY:
        raise SystemExit(
            f"{given.config}: expected the built-in corpus in one of {', '.join(QUALITY)}: its truth is known"
        )
    storage = Storage(config.storage)
    model = load_model(storage, str(current(storage, config.name)["id"]), config.serving.retrieve)
    index, truth, language = model.bundle.search, draw_truth(config.corpus.sample), config.corpus.sample.language
    assert index is not None
    titles = [index.texts.title(int(row)) or "" for row in model.history.item_rows(truth.item_ids)]
    asked = Questions.draw(truth, titles, language, given.seed)
    texts = asked.texts()
    vectors = make_encoder(model.bundle.encoder).encode(texts, "query").vectors
    lists = Lists(model, truth, dict(zip(texts, vectors, strict=True)))
    started = time.perf_counter()
    found: dict[str, Any] = {"search": of_search(lists, asked)}
    per_search = (time.perf_counter() - started) / (len(texts) - len(asked.tastes))
    for need in given.needs or (0.0, config.serving.need):
        found[f"need {need:g}"] = of_need(lists, asked, need)
    for who in ("known", "new"):
        found[f"disliked_{who}"] = of_dislikes(lists, asked, who == "known")
    popular = model.retrieve(RequestUser(), (), None).found.rows[0, :K]
    rows = lists.rows([model.history.item_ids[int(row)] for row in popular])
    found["popularity"] = {"taste": lists.affinity(asked.tastes, [rows] * len(asked.tastes))}
    for name, figures in found.items():
        print(f"{name:12}", "  ".join(f"{key} {value:g}" for key, value in figures.items()))
    print(json.dumps({"config": config.name, "language": language, "seed": given.seed, "items": len(titles),
                      "search_ms": round(1000 * per_search, 2)} | found))  # fmt: skip


if __name__ == "__main__":
    main()
