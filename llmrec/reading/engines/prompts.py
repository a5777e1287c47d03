"""Prompts as token ids: what is ours stands around the review, and nothing in a review is read as a mark of ours."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

_PLACE = "{review}"
_MARK = re.compile(r"\{(\w*)\}")
#: Characters of a review that are tokenised at most: more than any limit of tokens keeps.
_CHARS_A_TOKEN = 16


def load_prompt(path: str | None, default: str) -> str:
    """The prompt of a file, or ours. Raises ValueError where {review} is not its one placeholder."""
    text = default if path is None else _read(path)
    found = _MARK.findall(text)
    if found != ["review"]:
        said = f"found the placeholders {', '.join(found)}" if found else "found no placeholder"
        raise ValueError(f"reading.prompt: {path}: {said}, expected {_PLACE} once, which stands for the review")
    return text


def _read(path: str) -> str:
    try:
        return Path(path).expanduser().read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"reading.prompt: {path} cannot be read ({error}); expected a text file") from None


class PromptWriter:
    """Writes prompts for one model: chat template, review cut to `max_tokens`, question."""

    def __init__(self, tokenizer: Any, max_tokens: int) -> None:
        self._tokenizer, self._max = tokenizer, max_tokens
        self._special = sorted(map(str, tokenizer.all_special_tokens), key=len, reverse=True)

    def frame(self, system: str, prompt: str, shots: Sequence[tuple[str, str]] = ()) -> tuple[list[int], list[int]]:
        """(ids before the review, ids behind it). Raises ValueError for a model without a chat template."""
        if not self._tokenizer.chat_template:
            raise ValueError("reading.model: the model has no chat template, expected an instruct model")
        said = [{"role": "system", "content": system}]
        for text, answer in shots:
            said.append({"role": "user", "content": prompt.replace(_PLACE, self.plain(text))})
            said.append({"role": "assistant", "content": answer})
        said.append({"role": "user", "content": prompt})
        whole = self._tokenizer.apply_chat_template(said, tokenize=False, add_generation_prompt=True)
        before, _, behind = whole.rpartition(_PLACE)
        return self._ids(before), self._ids(behind)

    def review(self, text: str) -> list[int]:
        """Ids of a review, at most `max_tokens`."""
        return self._ids(self.plain(text[: self._max * _CHARS_A_TOKEN]))[: self._max]

    def plain(self, text: str) -> str:
        """The text without the model's own marks: a review cannot end its turn, or speak as somebody else."""
        while any(mark in text for mark in self._special):
            for mark in self._special:
                text = text.replace(mark, " ")
        return text

    def first_tokens(self, words: Sequence[str]) -> list[int]:
        """Id of the first token of each word. Raises ValueError where two begin alike: they cannot be told apart."""
        firsts = [self._ids(word)[0] for word in words]
        if len(set(firsts)) < len(firsts):
            raise ValueError(f"reading.model: its tokenizer begins two of the labels {', '.join(words)} alike")
        return firsts

    def _ids(self, text: str) -> list[int]:
        found: list[int] = self._tokenizer.encode(text, add_special_tokens=False)
        return found
