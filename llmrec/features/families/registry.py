"""The registry of feature families: what each is called, whose feature it is, and how it is computed."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from llmrec.features.asof.logs.vector_layout import VectorLayout
from llmrec.features.asof.state import ItemState, UserState
from llmrec.features.families import behaviour, crosses, events, profiles, readings, text
from llmrec.features.families import item_vectors as vectors
from llmrec.features.families.columns import chosen
from llmrec.features.families.learned import Learned, Side, Values
from llmrec.names import EVENT_KINDS, EVENT_PREFIX, event_families
from llmrec.variants import TEXT_PREFIX


@dataclass(frozen=True)
class Family:
    """A family. `names(learned)` are its columns; `values(learned, *states)` is (Q, columns).

    `vector` families are directions: they are scaled as a whole, and a zero row, "absent", stays zero.
    """

    side: Side
    names: Callable[[Learned], list[str]]
    values: Callable[..., Values]
    vector: bool = False


def _profile(side: Side, variant: str) -> Family:
    return Family(
        side,
        lambda learned: [f"{side}_{variant}_{k}" for k in range(learned.text_dim)],
        lambda learned, state: text.profile(state, variant),
        vector=True,
    )


def _last(side: Side) -> Family:
    return Family(
        side,
        lambda learned: [f"{side}_last_{k}" for k in range(learned.text_dim)],
        lambda learned, state: text.unit(state.text_last),
        vector=True,
    )


def _vector_families(column: str) -> dict[str, Family]:
    """The families of one of the items' vector columns, `vector_NAME`."""

    def span(learned: Learned) -> slice:
        return VectorLayout(learned.vector_dims).spans()[column]

    def names(side: Side) -> Callable[[Learned], list[str]]:
        return lambda learned: [f"{column}_{side}_{k}" for k in range(learned.vector_dims[column])]

    def own(learned: Learned, state: UserState | ItemState) -> Values:
        return text.unit(state.vectors[:, span(learned)])

    return {
        f"{column}_user": Family("user", names("user"), own, vector=True),
        f"{column}_item": Family("item", names("item"), own, vector=True),
        f"{column}_similarity": Family(
            "pair",
            lambda _: [f"{column}_mean_cosine", f"{column}_last_cosine"],
            lambda learned, u, i: vectors.similarities(u, i, span(learned)),
        ),
    }


def _event_families(kinds: Sequence[str], n: int) -> dict[str, Family]:
    """The families of the nth kind of events."""
    kind = kinds[n]

    def names(side: Side) -> Callable[[Learned], list[str]]:
        return lambda learned: events.kind_names(kind, side, learned.settings.popularity_days)

    found = {f"{EVENT_PREFIX}{kind}_{side}": Family(side, names(side), lambda _, state: events.kind_stats(state, n))
             for side in ("user", "item")}  # fmt: skip
    pair = Family("pair", lambda _: events.kind_pair_names(kind), lambda _, u, i: events.kind_pair(u, i, n))
    return found | {f"{EVENT_PREFIX}{kind}_pair": pair}


def _days(names: Callable[[Any], list[str]]) -> Callable[[Learned], list[str]]:
    return lambda learned: names(learned.settings.popularity_days)


#: Those of every corpus. Columns appear in this order.
FAMILIES: dict[str, Family] = {
    "user_activity": Family("user", _days(behaviour.activity_names), lambda _, u: behaviour.activity(u)),
    "user_stars": Family("user", lambda _: behaviour.STARS_NAMES, lambda _, u: behaviour.stars(u)),
    "context": Family("user", lambda _: behaviour.CONTEXT_NAMES, lambda _, u: behaviour.context(u)),
    "user_attributes": Family(
        "user",
        lambda learned: list(learned.user_attribute_names),
        lambda learned, u: behaviour.has_code(u.attributes, learned.user_attributes),
    ),
    "context_columns": Family(  # as a block, so that nothing given is zero after scaling too
        "user",
        lambda learned: list(learned.context_names),
        lambda learned, u: behaviour.has_code(u.contexts, learned.contexts),
        vector=True,
    ),
    "text_user_profile": _profile("user", "mean"),
    "text_user_recent": _profile("user", "recent"),
    "text_user_liked": _profile("user", "liked"),
    "text_user_disliked": _profile("user", "disliked"),
    "text_user_last": _last("user"),
    "text_user_sequence": Family(
        "user",
        lambda learned: [f"sequence_{k}" for k in range(learned.sequence_dim)],
        lambda _, u: text.unit(u.sequence),
        vector=True,
    ),
    "text_read_user": Family("user", lambda _: readings.SCALAR_NAMES, lambda _, u: readings.scalars(u)),
    "text_read_user_aspects": Family(
        "user", lambda _: readings.aspect_names("user"), lambda _, u: readings.aspects(u), vector=True
    ),
    "item_popularity": Family("item", _days(behaviour.popularity_names), lambda _, i: behaviour.popularity(i)),
    "item_rate": Family(
        "item",
        _days(behaviour.rate_names),
        lambda learned, i: behaviour.rates(i, learned.settings.popularity_days),
    ),
    "item_stars": Family("item", lambda _: behaviour.STARS_NAMES, lambda _, i: behaviour.stars(i)),
    "item_age": Family("item", lambda _: behaviour.ITEM_AGE_NAMES, lambda _, i: behaviour.item_age(i)),
    "item_price": Family("item", lambda _: behaviour.PRICE_NAMES, lambda _, i: behaviour.price(i)),
    "item_attributes": Family(
        "item",
        lambda learned: list(learned.attribute_names),
        lambda learned, i: behaviour.has_code(i.attributes, learned.attributes),
    ),
    "text_item_profile": _profile("item", "mean"),
    "text_item_liked": _profile("item", "liked"),
    "text_item_disliked": _profile("item", "disliked"),
    "text_item_last": _last("item"),
    "text_item_description": Family(
        "item",
        lambda learned: [f"description_{k}" for k in range(learned.text_dim)],
        lambda _, i: text.description(i),
        vector=True,
    ),
    "text_read_item": Family("item", lambda _: readings.SCALAR_NAMES, lambda _, i: readings.scalars(i)),
    "text_read_item_aspects": Family(
        "item", lambda _: readings.aspect_names("item"), lambda _, i: readings.aspects(i), vector=True
    ),
    "shared_attributes": Family(
        "pair", lambda _: behaviour.SHARED_NAMES, lambda _, u, i: behaviour.shared_attributes(u, i)
    ),
    "followed": Family("pair", lambda _: events.FOLLOWED_NAMES, lambda _, u, i: events.followed(u, i)),
    "collaborative": Family(
        "pair", lambda learned: learned.collaborative.names, lambda learned, u, i: learned.collaborative(u, i)
    ),
    "cross_polynomial": Family("pair", lambda _: crosses.POLYNOMIAL_NAMES, lambda _, u, i: crosses.polynomial(u, i)),
    "cross_hashed": Family(
        "pair",
        lambda learned: [f"cross_bucket_{k}" for k in range(learned.settings.cross_columns)],
        lambda learned, u, i: crosses.hashed(u, i, learned.settings.cross_columns),
    ),
    "text_cross_low_rank": Family(
        "pair",
        lambda learned: [f"cross_axis_{k}" for k in range(crosses.rank(learned.settings, learned.text_dim))],
        lambda learned, u, i: crosses.low_rank(u, i, crosses.rank(learned.settings, learned.text_dim)),
        vector=True,
    ),
    "text_read_match": Family("pair", lambda _: readings.MATCH_NAMES, lambda _, u, i: readings.match(u, i)),
    "text_read_profiles": Family("pair", lambda _: profiles.NAMES, lambda _, u, i: profiles.similarities(u, i)),
    "text_similarity": Family("pair", lambda _: text.similarity_names(), lambda _, u, i: text.similarities(u, i)),
}


#: Families that a setting turns on; all others are made unless excluded.
_CROSSES = {"cross_polynomial": "polynomial", "cross_hashed": "hashed", "text_cross_low_rank": "low_rank"}


def families_of(columns: Iterable[str], kinds: Sequence[str] = ()) -> dict[str, Family]:
    """FAMILIES and, behind them, those of the items' vector `columns` and of the kinds of events."""
    own = {name: family for column in columns for name, family in _vector_families(column).items()}
    return FAMILIES | own | {k: v for n in range(len(kinds)) for k, v in _event_families(kinds, n).items()}


def active(learned: Learned) -> dict[str, Family]:
    """Families that this run makes, in the order of `families_of`: without vectors there are none made from words.

    Raises ValueError where `include` or `exclude` names no family, or where nothing is left.
    """
    settings, families = learned.settings, families_of(learned.vector_dims, learned.event_kinds)
    absent = (kind for kind in EVENT_KINDS if kind not in learned.event_kinds)  # may be named, and is not made
    named = chosen([*families, *event_families(absent)], settings.include, settings.exclude)
    off = {name for name, kind in _CROSSES.items() if kind not in settings.crosses}
    if not settings.text or not learned.text_dim:
        off |= {name for name in families if name.startswith(TEXT_PREFIX)}
    if not settings.profile_last:
        off |= {"text_user_last", "text_item_last"}
    if not learned.sequence_dim:
        off.add("text_user_sequence")
    if not learned.reading_dim:
        off |= {name for name in families if name.startswith(readings.PREFIX)}
    if not learned.profile_dim:
        off.add("text_read_profiles")
    if not learned.user_attribute_names:
        off.add("user_attributes")
    if not learned.relations:
        off.add("followed")
    if not learned.context_names:
        off.add("context_columns")
    if not settings.collaborative:
        off.add("collaborative")
    made = {name: family for name, family in families.items() if name in named and name not in off}
    if not made:
        raise ValueError(
            f"features: include {settings.include} and exclude {settings.exclude} leave no family, expected at least "
            f"one of {', '.join(name for name in families if name not in off)}"
        )
    return made
