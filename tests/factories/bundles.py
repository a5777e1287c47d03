"""A small real bundle without training: real history, spec and models, random weights. Made in a second."""

import numpy as np
import torch
from factories.features import DEVICE, IMAGE, World
from llmrec.models.blender import ScoreBlender
from llmrec.models.modelfile import ModelFile, ScoreBlenderFile

from llmrec.bundle import Bundle, BundleFile, make_item_vectors
from llmrec.config import EncoderConfig, FeaturesConfig, RankerConfig, TwoTowerConfig
from llmrec.features.asof.history import History
from llmrec.features.dataset.pairs import Pairs
from llmrec.features.dataset.spec import FeatureSpec
from llmrec.schema import DAY_MS, review_id
from llmrec.schema import Column as C
from llmrec.storage import Artifact, Storage

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
) -> Artifact:
    """The artifact `bundle/VERSION`. Users are `u0…`, items `i0…`, and one item is `i/with slash 琴`."""
    history = _history(seed, n_users, n_items, dim)
    data = history.data
    spec = FeatureSpec.fit(
        history.settings,
        history,
        Pairs(data.user_rows, data.item_rows, data.times, data.contexts),
        int(data.times[-1]) + 1,
    )
    models = _models(spec)
    torch.manual_seed(seed)
    towers, ranker = models.make_two_tower().eval(), models.make_ranker().eval()
    settings = BundleFile(
        id=version,
        models=models,
        encoder=encoder or EncoderConfig(),
        encoder_fingerprint=fingerprint,
        facts={"events": len(data.times), "users": n_users, "items": n_items, "corpus": {}, "examples": {},
               "parents": {}},
    )  # fmt: skip
    vectors = make_item_vectors(towers, spec, history, "text")
    bundle = Bundle(settings, towers, ranker, spec, history, vectors, "# A test bundle")
    with storage.build("bundle", version, module="llmrec.bundle", config={}, parents={}) as writer:
        bundle.save(writer.folder)
    made = storage.find("bundle", version)
    assert made is not None
    return made


def _history(seed: int, n_users: int, n_items: int, dim: int) -> History:
    draw = np.random.default_rng(seed)
    ids = [f"i{n}" for n in range(n_items - 1)] + ["i/with slash 琴"]
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
    items = [{C.ITEM_ID: i, C.TITLE: i, IMAGE: image, **none} for i, image in zip(ids, images, strict=True)]
    end = int(times[-1]) + 1
    return World(reviews, items, FeaturesConfig(history_length=5), dim).prepare(cut=(end, end)).history


def _models(spec: FeatureSpec) -> ModelFile:
    chosen = spec.columns_of("text")
    names = {
        side: [columns[int(i)].name for i in index]
        for side, columns, index in (
            ("user", spec.user_columns, chosen.user),
            ("item", spec.item_columns, chosen.item),
            ("pair", spec.pair_columns, chosen.pair),
        )
    }
    second = ScoreBlender.prior_correction(spec.settings.popularity_days)
    return ModelFile(
        variant="text", two_tower=TwoTowerConfig(), ranker=RankerConfig(), n_users=spec.n_users, n_items=spec.n_items,
        history_length=spec.settings.history_length, user_columns=names["user"], item_columns=names["item"],
        pair_columns=names["pair"], user_families={"all": list(range(len(names["user"])))},
        item_families={"all": list(range(len(names["item"])))},
        blender=ScoreBlenderFile(weights=dict(zip(second.columns, second.weights, strict=True)),
                               fallback=second.fallback),
    )  # fmt: skip
