"""When a profile is written anew, and from which reviews: those up to a moment, which it carries as `made_at`."""

import math
import zlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import repeat
from typing import Any, NamedTuple, Protocol

import pyarrow as pa
import pyarrow.parquet as pq

from llmrec.config.text.reading import ProfilesConfig
from llmrec.encoding import review_text
from llmrec.files import files_of, filesystem, write_parquet
from llmrec.reading.private import hold_back
from llmrec.schema import PROFILES
from llmrec.schema import Column as C
from llmrec.storage import Artifact

#: Whose profiles there are, and the column of the reviews that names them.
SIDES: Mapping[str, str] = {"user": C.USER_ID, "item": C.ITEM_ID}
_COLUMNS = [C.REVIEW_ID, *SIDES.values(), C.TIMESTAMP, C.EVENT_ORDER, C.TITLE, C.TEXT]


class Maker(Protocol):
    """Keeps of each review what it needs, and writes the document of some: the profile, or what a model reads."""

    def kept(self, text: str, reading: Mapping[str, Any] | None) -> Any: ...

    def document(self, side: str, kept: Sequence[Any]) -> str: ...


class Spoken(NamedTuple):
    """What a maker kept of one review."""

    time: int  # ms UTC
    order: int  # of events of one time
    kept: Any


def version_ends(n: int, settings: ProfilesConfig) -> list[int]:
    """Of n reviews with words, in order of time, how many each version is made of."""
    ends, last = list[int](), 0
    while (last := last + max(settings.new_reviews, math.ceil(settings.growth * last))) <= n:
        ends.append(last)
    return ends


def spoken_of(
    corpus: Artifact, readings_uri: str | None, maker: Maker, parts: int = 1, part: int = 0
) -> dict[tuple[str, str], list[Spoken]]:
    """(side, id) -> its reviews with words, in order of time; of those users and items that fall to one of the parts.

    `readings_uri`: the folder of the table `readings`, whose rows lie in order of the reviews; None: not read yet.
    """
    found = defaultdict[tuple[str, str], list[Spoken]](list)
    readings = repeat(None) if readings_uri is None else _rows(readings_uri)
    for review, reading in zip(_reviews(corpus), readings, strict=readings_uri is not None):
        assert reading is None or reading[C.REVIEW_ID] == review[C.REVIEW_ID], "readings lie in order of the reviews"
        whose = [(s, review[c]) for s, c in SIDES.items() if zlib.crc32(review[c].encode()) % parts == part]
        text = review_text(review[C.TITLE], review[C.TEXT])
        if text and whose:
            spoken = Spoken(review[C.TIMESTAMP], review[C.EVENT_ORDER], maker.kept(text, reading))
            for one in whose:
                found[one].append(spoken)
    return {one: sorted(mine, key=lambda s: s[:2]) for one, mine in sorted(found.items())}


def versions_of(
    spoken: Mapping[tuple[str, str], Sequence[Spoken]], maker: Maker, settings: ProfilesConfig
) -> Iterator[dict[str, Any]]:
    """Rows of PROFILES, whose text is the maker's document; addresses and numbers are held back."""
    for (side, name), mine in spoken.items():
        for version, end in enumerate(version_ends(len(mine), settings)):
            text = hold_back(maker.document(side, [one.kept for one in mine[:end]]))
            yield {"side": side, "id": name, "version": version, "made_at": mine[end - 1].time, "reviews": end,
                   C.TEXT: text, "error": None}  # fmt: skip


def write_versions(
    corpus: Artifact, readings_uri: str, maker: Maker, settings: ProfilesConfig, parts: int, target: str, part: int
) -> int:
    """Write one part of the versions below `target`; how many there are."""
    spoken = spoken_of(corpus, readings_uri, maker, parts, part)
    rows = list(versions_of(spoken, maker, settings))
    write_parquet(f"{target}/part-{part:05d}.parquet", pa.Table.from_pylist(rows, schema=PROFILES))
    return len(rows)


def _reviews(corpus: Artifact) -> Iterator[dict[str, Any]]:
    for batch in corpus.dataset("reviews").to_batches(columns=_COLUMNS, batch_readahead=1, fragment_readahead=1):
        yield from batch.to_pylist()


def _rows(folder: str) -> Iterable[dict[str, Any]]:
    for uri in files_of(folder):
        fs, path = filesystem(uri)
        yield from pq.read_table(path, filesystem=fs).to_pylist()
