"""Arrays that grow while others read them: what was written stays in its place, so that no reader needs a lock."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from llmrec.features.arrays import Ints, Rows

Values = npt.NDArray[Any]
#: Rows of the first part that is added; each further one holds as many as all before it.
_FIRST = 1 << 10


class GrowingRows:
    """(n, ...) rows: those of a base, which is not copied, then what was added. One thread writes, many read."""

    def __init__(self, base: Rows | Values, fill: Any = 0) -> None:
        """`fill`: the value of rows that were added and not written yet."""
        self._rows = base if isinstance(base, Rows) else Rows.of(base)
        self._first, self._n, self._fill = self._rows.parts[0], len(self._rows), fill
        self._added = 0

    def __len__(self) -> int:
        return self._n

    @property
    def shape(self) -> tuple[int, ...]:
        return (self._n, *self._rows.shape[1:])

    def grow(self, n: int) -> int:
        """Add n rows of `fill`; returns the number of the first."""
        start = self._n
        missing = start + n - len(self._rows)
        if missing > 0:
            size = max(missing, self._added, _FIRST)
            shape = (size, *self._rows.shape[1:])
            # zeros take memory only where they are written
            made = (
                np.zeros(shape, self._first.dtype) if self._fill == 0 else np.full(shape, self._fill, self._first.dtype)
            )
            self._rows, self._added = Rows.of(*self._rows.parts, made), self._added + size
        self._n = start + n
        return start

    def append(self, values: Values) -> int:
        """Add rows; returns the number of the first."""
        start = self.grow(len(values))
        self.write(np.arange(start, start + len(values)), values)
        return start

    def write(self, numbers: Ints, values: Values) -> None:
        """Set rows (n,) that were added."""
        rows = self._rows
        place = np.searchsorted(rows.starts, numbers, side="right") - 1
        for part in np.unique(place):
            here = place == part
            rows.parts[part][numbers[here] - rows.starts[part]] = values[here]

    def take(self, numbers: Ints, inner: Sequence[int] | None = None) -> Values:
        """As `Rows.take`."""
        return self._rows.take(numbers, inner)

    def __getitem__(self, numbers: Any) -> Values:
        return self.take(np.arange(self._n)[numbers] if isinstance(numbers, slice) else np.asarray(numbers))

    def whole(self) -> Values:
        """All rows, copied."""
        return self._rows.whole()[: self._n]


class Mapped:
    """Rows that lie elsewhere: row k is `take(sources([k]))[0]`. Seen whole, they are the base's alone."""

    def __init__(self, sources: Callable[[Ints], Ints], rows: GrowingRows) -> None:
        """`sources`: of rows of the base, themselves."""
        self._sources, self._rows, self._n_base = sources, rows, len(rows)

    @property
    def shape(self) -> tuple[int, ...]:
        return (self._n_base, *self._rows.shape[1:])

    def whole(self) -> Values:
        """The base's rows, copied."""
        return self._rows.take(np.arange(self._n_base))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Values:
        return np.asarray(self.whole(), dtype)

    def take(self, numbers: Ints, inner: Sequence[int] | None = None) -> Values:
        """As `Rows.take`."""
        return self._rows.take(self._sources(np.asarray(numbers)), inner)

    def __getitem__(self, numbers: Any) -> Values:
        if isinstance(numbers, slice):
            numbers = np.arange(numbers.start, numbers.stop)
        return self.take(np.asarray(numbers))


class GrowingArray:
    """(n, ...) values in one array, for readers who want them whole; it moves when it grows. One thread writes."""

    def __init__(self, values: Values) -> None:
        self._values, self._n = np.array(values), len(values)

    @property
    def whole(self) -> Values:
        """All of them; a view, that what is appended later does not change."""
        return self._values[: self._n]

    def append(self, values: Values) -> None:
        """Add rows behind."""
        stop = self._n + len(values)
        if stop > len(self._values):
            moved = np.empty((max(2 * self._n, stop, _FIRST), *self._values.shape[1:]), self._values.dtype)
            moved[: self._n] = self.whole
            self._values = moved
        self._values[self._n : stop] = values
        self._n = stop
