"""Names that a configuration gives, a line each: checked when it is loaded, printed by `jobs.config --list`.

What they stand for lies further along: families in `features/families/registry.py`, metrics in `models/metrics.py`;
models are in `catalogue.py`, controls in `variants.py`. A test holds the tables against each other.
"""

import difflib
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase

from llmrec.catalogue import MODELS

#: Of a ranked list, cut at k: `NAME@K`.
RANKING_METRICS: Mapping[str, str] = {
    "hit_rate": "Share of queries with a relevant item among the first k.",
    "recall": "Relevant items among the first k, over all the query's relevant items.",
    "recall_min": "Relevant items among the first k, over min(k, the query's relevant items).",
    "precision": "Relevant items among the first k, over k.",
    "ndcg": "Hits weighted by 1 / log2(1 + rank), over the best weight that the query's relevant items could reach.",
    "mrr": "1 / rank of the first relevant item, 0 where it is not among the first k.",
    "log_rank": "1 - log(rank) / log(k + 1) of the first relevant item, 0 where it is not among the first k.",
    "map": "Mean of the precision at each relevant item, over min(k, the query's relevant items).",
}
#: Models that our own are set beside: retrievers in tables of ranking, rankers in tables of labels.
BASELINES: tuple[str, ...] = tuple(dict.fromkeys([*MODELS["retriever"], *MODELS["ranker"]]))
#: Families of feature columns; each item vector NAME adds `vector_NAME_user`, `_item` and `_similarity`, each kind of
#: events `event_KIND_user`, `_item` and `_pair`: how often, how lately, with what sum of values.
FAMILIES: Mapping[str, str] = {
    "user_activity": "how much the user reviewed, in windows and decaying",
    "user_stars": "the user's mean stars against everybody's, and their spread",
    "context": "time of day, of week and of year",
    "user_attributes": "the user's own labels, a column each (corpus.user_attributes)",
    "context_columns": "labels known when recommendations are asked for (corpus.context_columns)",
    "text_user_profile": "mean of the user's review vectors",
    "text_user_recent": "the same, decaying with time",
    "text_user_liked": "mean of the user's reviews that are likes (corpus.liked_from)",
    "text_user_disliked": "mean of the user's reviews below that",
    "text_user_last": "mean of the user's last reviews (features.profile_last)",
    "text_user_sequence": "the encoded titles of the user's last items (encoding.sequence_items)",
    "text_read_user": "sentiment of what the user wrote, how much of it was read, intents (reading.reader)",
    "text_read_user_aspects": "aspects that the user speaks of, and how the user judges each",
    "item_popularity": "how much the item was reviewed, in windows and decaying",
    "item_rate": "popularity by time at risk: decayed events over decayed days in which the item was known",
    "item_stars": "the item's mean stars against everybody's, and their spread",
    "item_age": "time since the item was known, first and last reviewed",
    "item_price": "log price, and whether there is one",
    "item_attributes": "brand and categories, a column each",
    "text_item_profile": "mean of the item's review vectors",
    "text_item_liked": "mean of the item's reviews that are likes (corpus.liked_from)",
    "text_item_disliked": "mean of the item's reviews below that",
    "text_item_last": "mean of the item's last reviews (features.profile_last)",
    "text_item_description": "the item's own text, encoded",
    "text_read_item": "sentiment of what was written about the item, how much of it was read, intents",
    "text_read_item_aspects": "aspects that reviews of the item speak of, and how they judge each",
    "shared_attributes": "brand and categories that user and item share",
    "followed": "what those whom the user follows took before now (corpus.relations)",
    "collaborative": "item-to-item scores, out of fold (features.collaborative)",
    "cross_polynomial": "products of the user's and the item's scalars (features.crosses)",
    "cross_hashed": "hashed pairs of past and new attributes (features.crosses)",
    "text_cross_low_rank": "products of projected text profiles (features.crosses)",
    "text_read_match": "what the user cares about x how the item is praised and blamed for it; attributes and topics",
    "text_read_profiles": "cosines of the user's profile with the item's, with its texts, and how old each is "
    "(reading.profiles)",
    "text_similarity": "cosines of the user's texts and profiles with the item's",
}

#: Kinds of events that are known by name; a corpus may have others (corpus.event_kinds).
EVENT_KINDS: Mapping[str, str] = {
    "view": "somebody looked at an item",
    "click": "somebody chose it from a list",
    "add_to_basket": "somebody put it into the basket",
    "purchase": "somebody bought it; value: pieces, or money",
    "play": "somebody started to listen or to watch",
    "dwell": "somebody stayed with it; value: seconds",
    "watch": "somebody watched it; value: seconds",
    "share": "somebody told others of it",
    "impression": "it was shown to somebody; without a click it is a negative",
    "search": "somebody searched, in the words of text; no item is needed",
}

#: Who reads reviews: `reading.reader`.
READERS: Mapping[str, str] = {
    "lexicon": "word lists: VADER, and SnowNLP for Chinese; the baseline that another must beat to be worth its price",
    "head": "logistic regression on the encoder's vectors, its labels the stars of reviews before T1",
    "choose": "closed questions, answered by a language model's probability of each label, contextually calibrated",
    "generate": "a language model writes JSON under a schema: sentiment, intent, aspects, attributes, key phrases",
}

#: Who makes profiles of users and items: `reading.profiles.maker`.
PROFILE_MAKERS: Mapping[str, str] = {
    "extractive": "aspects, attributes and key phrases of the readings, with how often each was said; no model",
    "generate": "a language model writes under a schema what is liked and disliked (reading.model)",
}

#: What an encoder is tuned by: `tuning.objectives`, each with its weight.
OBJECTIVES: Mapping[str, str] = {
    "contrastive": "pairs of texts that belong together (tuning.pairs) against the batch's other texts: InfoNCE",
    "masked_language_model": "words that are hidden are guessed from the others: adapts to the corpus's language",
    "distillation": "cosines of a teacher's vectors (tuning.teacher), for the first numbers of the vectors too",
    "stars": "a review's stars, guessed from its vector",
}
#: How texts of `contrastive` are told otherwise: `tuning.augment`, each with its share.
AUGMENTATIONS: Mapping[str, str] = {
    "word_dropout": "each word is left out with that probability",
    "span_deletion": "one stretch of that share of the words is left out",
    "sentence_order": "with that probability the sentences change places",
}
#: Which texts belong together: `tuning.pairs`, each with its share of a batch.
PAIRS: Mapping[str, str] = {
    "next_item": "a liked review of a user, and the text of an item that the user liked next",
    "description": "a review, and the text of its item",
    "same_item": "two reviews of one item by different users",
    "same_user": "the texts of two items that one user liked, one after the other",
}


#: Before the names of the families of a kind of events.
EVENT_PREFIX = "event_"


def event_families(kinds: Iterable[str]) -> list[str]:
    """The families of kinds of events."""
    return [f"{EVENT_PREFIX}{kind}_{side}" for kind in kinds for side in ("user", "item", "pair")]


def nearest(name: str, known: Iterable[str]) -> str:
    """The known name that looks most like `name`."""
    return difflib.get_close_matches(name, list(known), n=1, cutoff=0.0)[0]


def check_names(kind: str, names: Iterable[str], known: Iterable[str]) -> None:
    """Raises ValueError for the first name of a `kind` that is not known, with the nearest that is, and all."""
    known = tuple(known)
    for name in names:
        if name not in known:
            raise ValueError(_unknown(kind, name, nearest(name, known), known))


def check_patterns(kind: str, patterns: Iterable[str], known: Iterable[str]) -> None:
    """The same for shell patterns (`text_*`): each must match a name, save `*`, which may find nothing."""
    known = tuple(known)
    for pattern in patterns:
        if pattern != "*" and not any(fnmatchcase(name, pattern) for name in known):
            stem = pattern.strip("*")
            heads = {name[: len(stem)]: name for name in reversed(known)}
            raise ValueError(_unknown(kind, pattern, heads[nearest(stem, heads)], known))


def _unknown(kind: str, name: str, near: str, known: Iterable[str]) -> str:
    return f"no {kind} {name!r}; the nearest is {near!r} of {', '.join(known)}"
