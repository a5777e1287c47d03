"""A small real bundle without training: real history, spec and models, random weights. Made in a second."""

import numpy as np
import pyarrow as pa
import torch

from llmrec.bundle import Bundle, BundleFile, make_item_vectors
from llmrec.config import EncoderConfig, FeaturesConfig, RankerConfig, TwoTowerConfig
from llmrec.features.asof.history import History
from llmrec.features.dataset.spec import FeatureSpec, Pairs
from llmrec.models.blender import ScoreBlender
from llmrec.models.modelfile import ModelFile, ScoreBlenderFile
from llmrec.schema import DAY_MS, event_order, items_schema, review_id, reviews_schema
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
    items = [f"i{n}" for n in range(n_items - 1)] + ["i/with slash 琴"]
    pairs = [(f"u{u}", items[i]) for u in range(n_users) for i in draw.choice(n_items, 5, replace=False)]
    times = START + np.sort(draw.integers(0, 300 * DAY_MS, len(pairs)))
    users, bought = [u for u, _ in pairs], [i for _, i in pairs]
    ids = [review_id(u, i, int(t)) for (u, i), t in zip(pairs, times, strict=True)]
    reviews = pa.table(
        [ids, users, bought, times, event_order(users, bought), draw.integers(1, 6, len(pairs)).astype(np.float32),
         ["t"] * len(pairs), ["x"] * len(pairs), [(None, "mobile", "web")[n % 3] for n in range(len(pairs))]],
        schema=reviews_schema(["device"]),
    )  # fmt: skip
    none = [None] * n_items
    images = [None if n % 4 == 0 else np.random.default_rng([seed, n]).normal(size=4).tolist() for n in range(n_items)]
    table = pa.table([items, items, none, none, none, none, none, images], schema=items_schema(["image"]))
    return History.build(
        reviews,
        table,
        draw.normal(size=(len(pairs), dim)).astype(np.float32),
        draw.normal(size=(n_items, dim)).astype(np.float32),
        settings=FeaturesConfig(history_length=5),
    )


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
