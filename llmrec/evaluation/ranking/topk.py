"""Ranked lists, and exact top-k of scores that are made block by block, in bounded memory."""

import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from llmrec.models.topk import blocks, top_k
from llmrec.threads import one_thread

Ints = npt.NDArray[np.int64]
Scores = npt.NDArray[np.float32]
Hashes = npt.NDArray[np.uint64]
T = TypeVar("T")


@dataclass(frozen=True)
class TopK:
    """Ranked lists: `item_rows` (Q, k) integers, best first, −1 where a list ends early; `scores` (Q, k) float32."""

    item_rows: Ints
    scores: Scores

    def __len__(self) -> int:
        return len(self.item_rows)

    def cut(self, k: int) -> "TopK":
        """The first k of each list."""
        return TopK(self.item_rows[:, :k], self.scores[:, :k])


def in_order(answer: Callable[[slice], T], parts: Sequence[slice], threads: int) -> Iterator[T]:
    """`answer(part)` for each part, in order; `threads` of them at a time, twice as many in memory."""
    with one_thread("blas"), ThreadPoolExecutor(threads) as pool:  # BLAS threads inside ours only wait
        running: deque[Future[T]] = deque()
        for part in parts:
            running.append(pool.submit(answer, part))
            if len(running) >= 2 * threads:
                yield running.popleft().result()
        while running:
            yield running.popleft().result()


def usual_threads() -> int:
    """How many blocks of scores one process makes at a time: more wait for memory."""
    return min(4, os.cpu_count() or 1)


def joined(parts: Sequence[TopK], k: int) -> TopK:
    """One block's lists (B, k) after the other's."""
    parts = parts or [TopK(np.empty((0, k), np.int64), np.empty((0, k), np.float32))]
    return TopK(np.concatenate([p.item_rows for p in parts]), np.concatenate([p.scores for p in parts]))


def blocked_top_k(
    score: Callable[[slice], Scores],
    n_rows: int,
    k: int,
    user_hash: Hashes,
    item_hash: Hashes,
    threads: int | None = None,
) -> TopK:
    """`top_k` over blocks of rows; `score(rows)` returns masked (B, N) scores and is called from several threads.

    Peak memory: about 3 × threads × BLOCK_CELLS × 4 bytes, plus the lists.
    """

    def one(rows: slice) -> TopK:
        return TopK(*top_k(score(rows), k, user_hash[rows], item_hash))

    return joined(list(in_order(one, blocks(n_rows, len(item_hash)), threads or usual_threads())), k)
