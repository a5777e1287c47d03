"""What LinUCB has learned by now: every drawn list of the log counts as shown, every feedback as a reward of 1.

Feedback that comes late counts when it comes. The state is that of the log's numbers, so that replicas agree and a new
one knows what the old one knew.
"""

import threading

import numpy as np

from llmrec.exploration import LinearState
from llmrec.exposures.exposure_log import ExposureLog
from llmrec.exposures.served_list import ServedList

#: Lists and rewards read at once.
_READ = 5_000


class LearnedFeedback:
    """The state of contexts with these `terms`; lists of other terms (another bundle's columns) do not count."""

    def __init__(self, log: ExposureLog, terms: tuple[str, ...], kinds: frozenset[str] | None = None) -> None:
        """`kinds` of feedback that are a reward; None: any, once a slot."""
        self._log, self._terms, self._kinds = log, terms, kinds
        self.state = LinearState.nothing_seen(len(terms))
        self.lists = self.rewards = self._list = self._feedback = 0
        self._paid = set[tuple[int, int]]()
        self._working = threading.Lock()

    def catch_up(self) -> None:
        """Take in what the log holds by now."""
        with self._working:
            while found := list(self._log.lists(self._list, _READ)):
                self._list = found[-1][0]
                shown = [served for _, served in found if self._counts(served)]
                self.lists += len(shown)
                for served in shown:
                    own = _own(served)
                    self.state = self.state.after(own, np.zeros(len(own)))
            while came := self._log.feedback(self._feedback, _READ):
                self._feedback = came[-1].seq
                self._pay({(f.number, f.slot) for f in came if self._kinds is None or f.kind in self._kinds})

    def _pay(self, slots: set[tuple[int, int]]) -> None:
        new = sorted(slots - self._paid)
        self._paid |= slots
        lists = self._log.numbered(sorted({number for number, _ in new}))
        counted = [(lists[number], slot) for number, slot in new if number in lists and self._counts(lists[number])]
        if counted:
            self.rewards += len(counted)
            self.state = self.state.paid(np.stack([_own(served)[slot] for served, slot in counted]))

    def _counts(self, served: ServedList) -> bool:
        return served.contexts is not None and served.terms == self._terms


def _own(served: ServedList) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """(k, d) contexts of the items that were shown."""
    assert served.contexts is not None
    return np.asarray(served.contexts[0], np.float64)
