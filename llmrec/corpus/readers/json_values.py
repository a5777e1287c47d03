"""Values of JSON that are no lines: one array, or objects printed over several lines; in bounded memory."""

import re
from collections.abc import Iterator

_TOKEN = re.compile(r'\\.|[",{}\[\]]', re.DOTALL)
Value = tuple[int, str, bool]  # (line, text, whether it was too long and only its beginning is given)


def values(chunks: Iterator[str], max_chars: int) -> Iterator[Value]:
    """Each element of an array, or each of the values that follow one another; one that the file cuts off, too."""
    scan = _Scan(max_chars)
    for chunk in chunks:
        yield from scan.feed(chunk)
    yield from scan.finished()


class _Scan:
    """Where in the text we are: how deep, in a string or not, and what of a value was seen."""

    def __init__(self, max_chars: int) -> None:
        self.max_chars = max_chars
        self.depth, self.base = 0, -1  # values lie at depth `base`: 1 inside an array, 0 on their own, -1 not known
        self.in_string, self.carried = False, ""
        self.parts: list[str] = []
        self.size, self.line, self.begun = 0, 1, 1

    def feed(self, text: str) -> Iterator[Value]:
        text, self.carried = self.carried + text, ""
        if (len(text) - len(text.rstrip("\\"))) % 2:  # an escape whose character is yet to come
            text, self.carried = text[:-1], "\\"
        if self.base < 0 and text.strip():
            self.base = int(text.lstrip("\ufeff \t\r\n").startswith("["))
        at = 0
        for token in _TOKEN.finditer(text):
            keep, give = self._step(token[0])
            if give:
                self._take(text[at : token.start() + keep])
                at = token.end()
                yield from self.finished()
        self._take(text[at:])

    def _step(self, mark: str) -> tuple[int, bool]:
        """(whether the mark is part of the value, whether a value ends here)."""
        if mark == '"':
            self.in_string = not self.in_string
        if self.in_string or mark == '"' or mark[0] == "\\":
            return 1, False
        if mark in "{[":
            self.depth += 1
            return 0, self.depth == self.base == 1 and mark == "["
        if mark == ",":
            return 0, self.depth == self.base
        return self._closed()

    def _closed(self) -> tuple[int, bool]:
        self.depth = max(0, self.depth - 1)
        if self.depth == 0 and self.base == 1:
            self.base = 0  # what follows the array stands on its own
            return 0, True
        return 1, self.depth == self.base == 0

    def _take(self, piece: str) -> None:
        if not self.size:
            bare = piece.lstrip("\ufeff \t\r\n")
            self.begun = self.line = self.line + piece.count("\n") - bare.count("\n")
            piece = bare
        self.line += piece.count("\n")
        if self.size <= self.max_chars:
            self.parts.append(piece[: self.max_chars + 1 - self.size])
        self.size += len(piece)

    def finished(self) -> Iterator[Value]:
        text, cut = "".join(self.parts).strip(), self.size > self.max_chars
        self.parts, self.size = [], 0
        if text:
            yield self.begun, text, cut
