"""Threads that share the products of networks while a block of batches is trained.

They stay awake for the block, which keeps their cores busy. Where others need the cores, members
are kept from working, and who leads waits for them: a team whose waits are too long is not called
for some blocks.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from math import prod

import numpy as np
from numba.core import config

from .. import threads
from ..kernels import team as kernels

MEMBERS = 4
"""At most: the products have some hundred rows and columns."""

MOST_MISSED = 64
"""Blocks for which a team is not called, at most: twice as many each time it is of no use."""

SHARED_FROM = 1 << 20
"""Multiplications of a product from which it is shared: those of some 25 microseconds."""

ALONE = np.zeros(0, np.int64)
"""The words of a team of nobody but who leads it."""

_leading = threading.local()


class Team:
    """Threads that take pieces of products from the one that leads them.

    Parameters
    ----------
    others : int
        Members beside the one that leads.

    Attributes
    ----------
    words : ndarray of int64
        What `kernels.team.product` takes.
    free : threading.Lock
        Held by the thread that leads.
    """

    def __init__(self, others: int):
        self.words = np.zeros(kernels.TEAM_WORDS, np.int64)
        self.free = threading.Lock()
        self._called = self._at_work = False
        self._missed = self._to_miss = 0
        kernels.serve(self.words)  # returns at once, compiled
        self._calls = [threading.Event() for _ in range(others)]
        for call in self._calls:
            threading.Thread(target=self._serve, args=(call,), daemon=True).start()

    def _serve(self, call: threading.Event) -> None:
        while call.wait():
            call.clear()
            kernels.serve(self.words)

    def call(self) -> None:
        """Have the members look for work, if they are not called yet and were of use."""
        if self._called:
            return
        self._called = True
        if self._to_miss > 0:
            self._to_miss -= 1
            return
        self._at_work = True
        self.words[kernels.LONG_WAITS] = 0
        self.words[kernels.OPEN] = 1
        for call in self._calls:
            call.set()

    def dismiss(self) -> None:
        """Let the members sleep."""
        self.words[kernels.OPEN] = 0
        if self._at_work:
            too_long = self.words[kernels.LONG_WAITS] >= kernels.PATIENCE
            self._missed = min(max(1, 2 * self._missed), MOST_MISSED) if too_long else 0
            self._to_miss = self._missed
        self._called = self._at_work = False


@cache
def _team(process: int, others: int) -> Team:
    return Team(others)


@contextmanager
def teamwork() -> Iterator[None]:
    """Inside, products of networks are shared by a team, if there are cores for one.

    Who is first has the team; other threads work alone. Not for work that `threads.for_each` hands
    out as well: its threads and the members would want the same cores.

    Examples
    --------
    >>> with teamwork():
    ...     team_for(2, 2, 2).size  # too small a product to be shared
    0
    """
    others = min(threads.thread_count(), MEMBERS) - 1
    if others < 1 or getattr(config, "DISABLE_JIT", False):
        yield
        return
    team = _team(os.getpid(), others)
    if not team.free.acquire(blocking=False):
        yield
        return
    _leading.team = team
    try:
        yield
    finally:
        _leading.team = None
        team.dismiss()
        team.free.release()


def team_for(*sizes: int) -> np.ndarray:
    """The words of the team that shall do a product, which is called: `ALONE` if nobody else.

    Parameters
    ----------
    sizes : int
        Rows, inner length and columns of the product.
    """
    team = getattr(_leading, "team", None)
    if team is None or prod(sizes) < SHARED_FROM:
        return ALONE
    team.call()
    return team.words
