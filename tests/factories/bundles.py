"""A small real bundle without training: real history, spec and models, random weights. Made in a second."""

from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from factories.features import DEVICE, IMAGE, World, encode

from llmrec.bundle import Bundle, BundleFile, make_probes
from llmrec.config import EncoderConfig, FeaturesConfig, SearchConfig, TrainingConfig
from llmrec.features.asof.history import History
from llmrec.features.dataset.pairs import Pairs
from llmrec.features.dataset.spec import FeatureSpec
from llmrec.models.base import ModelContext
from llmrec.models.blenders.prior_correction import LOGIT, popularity_columns
from llmrec.models.files.models_file import ModelsFile
from llmrec.models.files.store import fit_data, make_model
from llmrec.recommender import FittedModels
from llmrec.schema import DAY_MS, ITEMS, REVIEWS, review_id
from llmrec.schema import Column as C
from llmrec.search import SearchIndex
from llmrec.search.build import build_index
from llmrec.search.vectors import ItemVectors
from llmrec.storage import Artifact, Storage
from llmrec.training.fit import models_of, role_of
from llmrec.words import terms

START = 1_600_000_000_000
DIM = 8  # of the encoder's vectors


def make_bundle(
    storage: Storage,
    version: str,
    *,
    seed: int = 0,
    n_users: int = 30,
    n_items: int = 40,
    dim: int = DIM,
    encoder: EncoderConfig | None = None,
    fingerprint: str = "fake-encoder",
    searchable: bool = False,
    eventful: bool = False,
) -> Artifact:
    """The artifact `bundle/VERSION`. Users are `u0…`, items `i0…`, and one item is `i/with slash 琴`.

    `searchable`: with a search index, the items being THINGS. `eventful`: with views, watches, baskets and relations;
    the outcome is a purchase.
    """
    items = described(n_items) if searchable else None
    history = _history(seed, n_users, n_items, dim, items, eventful)
    data = history.data
    spec = FeatureSpec.fit(
        history.settings,
        history,
        Pairs(data.user_rows, data.item_rows, data.times, data.contexts),
        int(data.times[-1]) + 1,
    )
    context = ModelContext(spec, history, "text")
    torch.manual_seed(seed)
    models = untrained(context)
    columns = {side: [c.name for c in found] for side, found in context.columns.items()}
    file = ModelsFile(
        variant="text",
        models={k: m.config.model_dump(mode="json") for k, m in models.by_key().items() if k not in SECOND},
        columns=columns, families={key: [] for key in columns}, blender=dict(models.blender.weights),
        fallback=models.fallback,
    )  # fmt: skip
    settings = BundleFile(
        id=version, models=file, encoder=encoder or EncoderConfig(), encoder_fingerprint=fingerprint,
        facts={"events": len(data.times), "users": n_users, "items": n_items, "corpus": {}, "examples": {},
               "parents": {}},
    )  # fmt: skip
    search = None if items is None else index_of(storage, items, history, dim)
    bundle = Bundle(settings, models, context, make_probes(models, context), "# A test bundle", search)
    with storage.build("bundle", version, module="llmrec.bundle", config={}, parents={}) as writer:
        bundle.save(writer.folder)
    made = storage.find("bundle", version)
    assert made is not None
    return made


#: (title, category, brand) of the items of a searchable bundle, in turn.
THINGS = (("Quiet Kettle", "kettle", "Vohazi"), ("Blue Tent", "tent", "Xofeta"), ("安静的台灯", "lamp", "Vohazi"),
          ("Cây đàn violin", "violin", "Neluka"))  # fmt: skip


_KNOWN = frozenset(word for things in THINGS for word in terms(" ".join(things)))


def meant(texts: list[str], dim: int = DIM) -> np.ndarray:
    """(n, dim) what an encoder says that knows the words of THINGS and no other: zeros where there is none."""
    return encode([" ".join(word for word in terms(text) if word in _KNOWN) for text in texts], dim)


def item_ids(n_items: int) -> list[str]:
    return [f"i{n}" for n in range(n_items - 1)] + ["i/with slash 琴"]


def described(n_items: int) -> list[dict[str, Any]]:
    """Items that tell what they are: THINGS, each with a number of its own, prices 1, 2, 3, …, the last one without."""
    rows: list[dict[str, Any]] = []
    for n, item in enumerate(item_ids(n_items)):
        title, category, brand = THINGS[n % len(THINGS)]
        rows.append({C.ITEM_ID: item, C.TITLE: f"{title} {100 + n}", C.BRAND: brand, C.CATEGORIES: [category],
                     C.DESCRIPTION: f"The {category} by {brand}.", C.PRICE: None if n == n_items - 1 else n + 1.0,
                     C.AVAILABLE_FROM: None})  # fmt: skip
    return rows


def index_of(storage: Storage, items: list[dict[str, Any]], history: History, dim: int) -> SearchIndex:
    """The index of `items` and of no reviews; vectors are those of `meant` for their titles."""
    with storage.build("corpus", "searched", module="llmrec.corpus.stage", config={}, parents={}) as writer:
        writer.write_table("items", pa.Table.from_pylist(items, ITEMS))
        writer.write_table("reviews", REVIEWS.empty_table())
    corpus = storage.find("corpus", "searched")
    assert corpus is not None
    made = build_index(SearchConfig(), storage, corpus, None, history.item_ids)
    titles = {item[C.ITEM_ID]: item[C.TITLE] for item in items}
    vectors = ItemVectors.of(meant([titles.get(item, "") for item in history.item_ids], dim))
    return SearchIndex(made.texts, made.own, made.said, vectors)


def _history(seed: int, n_users: int, n_items: int, dim: int, described: list[dict[str, Any]] | None = None,
             eventful: bool = False) -> History:  # fmt: skip
    draw = np.random.default_rng(seed)
    ids = item_ids(n_items)
    pairs = [(f"u{u}", ids[i]) for u in range(n_users) for i in draw.choice(n_items, 5, replace=False)]
    times = START + np.sort(draw.integers(0, 300 * DAY_MS, len(pairs)))
    reviews = [
        {C.REVIEW_ID: review_id(user, item, int(time)), C.USER_ID: user, C.ITEM_ID: item, C.TIMESTAMP: int(time),
         C.STARS: float(draw.integers(1, 6)), C.TITLE: "t", C.TEXT: f"word{draw.integers(40)} word{draw.integers(40)}",
         DEVICE: (None, "mobile", "web")[n % 3]}
        for n, ((user, item), time) in enumerate(zip(pairs, times, strict=True))
    ]  # fmt: skip
    none = dict.fromkeys((C.DESCRIPTION, C.BRAND, C.PRICE, C.CATEGORIES, C.AVAILABLE_FROM))
    images = [None if n % 4 == 0 else np.random.default_rng([seed, n]).normal(size=4).tolist() for n in range(n_items)]
    own = described or [{C.ITEM_ID: i, C.TITLE: i, **none} for i in ids]
    items = [item | {IMAGE: image} for item, image in zip(own, images, strict=True)]
    end = int(times[-1]) + 1
    world = World(reviews, items, FeaturesConfig(history_length=5), dim)
    return (_eventful(world) if eventful else world).prepare(cut=(end, end)).history


def _eventful(world: World) -> World:
    """Each review a purchase, some moments after other events of the pair; users follow the next two."""
    asked = [{k: r[k] for k in (C.USER_ID, C.ITEM_ID, C.TIMESTAMP)} for r in world.reviews]
    events = [
        event | {C.EVENT_ID: f"{kind}{n}", C.KIND: kind, C.VALUE: value, C.TIMESTAMP: event[C.TIMESTAMP] - before}
        for n, event in enumerate(asked)
        for kind, value, before in (("purchase", 1.0, 0), ("view", None, 90_000), ("watch", 20.0, 60_000),
                                    ("add_to_basket", None, 30_000)) if kind == "purchase" or n % 3 == 0
    ]  # fmt: skip
    users = sorted({r[C.USER_ID] for r in world.reviews})
    relations = [{C.FOLLOWER_ID: user, C.FOLLOWED_ID: users[(n + k) % len(users)], C.SINCE: None}
                 for n, user in enumerate(users) for k in (1, 2)]  # fmt: skip
    return replace(world, events=events, relations=relations, outcome="purchase")


#: What is fitted when the other models are.
SECOND = ("blender", "calibrator")


def untrained(context: ModelContext, training: TrainingConfig | None = None) -> FittedModels:
    """The networks of a configuration with random weights, blended as theory says before any query is seen."""
    config = training or TrainingConfig(ranker="dcnv2", blender="prior_correction", raters=["bias", "rates"])
    fitted = {key: make_model(role_of(key), c, context) for key, c in models_of(config).items()}
    for model in fitted.values():
        if model.ROLE == "rater":
            model.restore({}, fit_data(context, model))  # they learn nothing: as-of state is all they have
    blender = make_model("blender", config.blender, context)
    days = context.history.settings.popularity_days
    columns = popularity_columns(days)
    blender.fit((*(c.name for c in config.retrievers), LOGIT, *columns), [], [])
    calibrator = make_model("calibrator", config.calibrator, context)
    calibrator.restore({"x": np.zeros(0), "y": np.zeros(0)}, fit_data(context, calibrator))  # the logit as it is
    return FittedModels.of_keys(fitted, blender, calibrator, columns[0], {})
