"""What a visitor has said so far: it travels in the form, and nowhere else."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, Self
from urllib.parse import parse_qsl

#: Fields of one form; more is no visitor.
MAX_FIELDS = 2_000
SHOWN = 10
#: What may be said of an item by a button: `exclude:ID`.
ACTS = ("exclude", "allow", "like", "unlike", "similar")


@dataclass(frozen=True)
class PageState:
    """Who asks, what they like and do not want; `similar`: an item that more is wanted like; `query`: words sought."""

    user_id: str = ""
    text: str = ""
    query: str = ""
    liked: tuple[str, ...] = ()
    excluded: tuple[str, ...] = ()
    similar: str = ""
    act: str = ""
    beside: bool = False  # the list without words, too

    @classmethod
    def parse(cls, body: bytes) -> Self:
        """From a form as browsers send it, the last act already done. Raises ValueError for what no browser sends."""
        fields = parse_qsl(body.decode("utf-8"), keep_blank_values=True, max_num_fields=MAX_FIELDS)
        one = {name: value for name, value in fields if name in ("user_id", "text", "query", "similar")}
        state = cls(
            **{name: value.strip() for name, value in one.items()},
            beside=any(name == "beside" for name, _ in fields),
            liked=_each(v for n, v in fields if n == "liked"), excluded=_each(v for n, v in fields if n == "excluded"),
        )  # fmt: skip
        return state._done(next((value for name, value in fields if name == "act"), "ask"))

    def _done(self, said: str) -> Self:
        """After a button: `exclude:ID`, or a word that says which list was asked for."""
        act, _, item = said.partition(":")
        if not item or act not in ACTS:
            return replace(self, act=act, similar="", query=self.query if act == "search" else "")  # one list at a time
        without = tuple(i for i in self.liked if i != item), tuple(i for i in self.excluded if i != item)
        changed = replace(self, act=act, liked=without[0], excluded=without[1])
        if act == "exclude":
            return replace(changed, excluded=(*without[1], item))
        if act == "like":
            return replace(changed, liked=(*without[0], item))
        return replace(self, act=act, similar=item) if act == "similar" else changed

    def request(self) -> dict[str, Any]:
        """The body of /v1/recommend, with reasons."""
        asked = {"user_id": self.user_id, "text": self.text, "liked_items": list(self.liked)}
        return {name: value for name, value in asked.items() if value} | {
            "exclude": list(self.excluded), "k": SHOWN, "reasons": True, "without_text": self.beside,
        }  # fmt: skip


def _each(values: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(v for v in values if v))
