"""What a like is, is the corpus's scale's to say: in labels, text profiles and raters alike."""

import numpy as np
import pyarrow as pa
from factories.features import START, World

from llmrec.features.asof.interactions import Interactions
from llmrec.features.asof.state import TEXT_VARIANTS
from llmrec.features.dataset.examples import example_table
from llmrec.models.raters.bias import liked
from llmrec.schema import DAY_MS
from llmrec.schema import Column as C


def test_the_scale_decides_labels_profiles_and_raters() -> None:
    world = World.random()
    settings = world.settings.model_copy(update={"liked_from": 5.0, "disliked_to": 1.0})
    prepared = World(world.reviews, world.items, settings).prepare()
    table = pa.concat_tables([example_table(prepared.history, prepared.spec, clicks) for clicks in prepared.clicks])
    table = table.filter(table[C.STARS].is_valid())
    stars = table[C.STARS].to_numpy()
    assert np.array_equal(table[C.LIKE].to_numpy() == 1, stars >= 5) and (stars == 4).any()
    history, users = prepared.history, np.arange(1, 8)
    state = history.users_at(users, np.full(len(users), START + 200 * DAY_MS))
    data, rows = history.data, history.users
    given, written = rows.stars, rows.rows["vectors"].whole()[:, -1] > 0
    for k, user in enumerate(users):
        mine = slice(*rows.events.offsets[user : user + 2])
        for variant, wanted in (("liked", given[mine] >= 5), ("disliked", given[mine] <= 1)):
            assert state.text_weight[k, TEXT_VARIANTS.index(variant)] == (wanted & written[mine]).sum()
    labels = liked(Interactions.of_history(history)).stars
    known = np.isfinite(data.stars)
    assert np.array_equal(labels[known] == 1, data.stars[known] >= 5)
