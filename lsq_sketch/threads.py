"""Threads that never change a bit of the result.

Two rules give the same bits for any number of threads. Work in our own kernels is cut into
pieces whose bounds depend on the data alone; threads only decide who does a piece. BLAS and
LAPACK, whose sums do depend on their number of threads, run on one thread inside the library.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from typing import TypeVar

import scipy.linalg  # noqa: F401  (loads SciPy's BLAS, so that the controller finds it)
from numba.core import config
from threadpoolctl import ThreadpoolController

Piece = TypeVar("Piece")
Result = TypeVar("Result")

CORES = os.cpu_count() or 1
"""Of the machine; the system takes microseconds to tell."""

_worker = threading.local()
_lock = threading.Lock()
_depth = 0
_before: list[int] = []


@cache
def _controller() -> ThreadpoolController:
    return ThreadpoolController().select(user_api="blas")


def _set_blas_threads(counts: list[int]) -> None:
    """Set the number of threads of each library, whoever has set it before.

    From threadpoolctl 3.8 on, OpenBLAS heeds only the first thread that sets it, until that
    thread lets go; others silently do nothing.
    """
    for library, count in zip(_controller().lib_controllers, counts, strict=True):
        let_go = getattr(library, "clear_controlling_thread", lambda force: None)
        let_go(force=True)
        library.set_num_threads(count)
        let_go(force=True)


@contextmanager
def single_threaded_blas() -> Iterator[None]:
    """BLAS on one thread inside the ``with`` block, whichever threads are inside it.

    The setting belongs to the process: the first thread in makes it, the last one out undoes it.

    Examples
    --------
    >>> import numpy as np
    >>> with single_threaded_blas():
    ...     float(np.ones((2, 2)) @ np.ones(2) @ np.ones(2))
    4.0
    """
    global _depth, _before
    with _lock:
        if _depth == 0:
            _before = [library.get_num_threads() for library in _controller().lib_controllers]
            _set_blas_threads([1] * len(_before))
        _depth += 1
    try:
        yield
    finally:
        with _lock:
            _depth -= 1
            if _depth == 0:
                _set_blas_threads(_before)


def _forget_in_child() -> None:
    """A forked child has none of its parent's threads, and is in nobody's ``with`` block."""
    global _depth, _lock
    _depth, _lock = 0, threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_in_child)


def thread_count() -> int:
    """Number of threads for our own kernels: ``NUMBA_NUM_THREADS`` where set, else the cores.

    Returns
    -------
    int
        At least 1.

    Examples
    --------
    >>> thread_count() >= 1
    True
    """
    wanted = int(getattr(config, "NUMBA_NUM_THREADS", 1))  # set by Numba when it is imported
    return max(1, min(wanted, CORES))


@cache
def _pool(process: int, threads: int) -> ThreadPoolExecutor:
    """An executor with all its threads running.

    A thread other than the main one starts them: Ctrl-C in the middle of that would leave the
    executor with a thread it does not know of, for which the program would wait at its end.
    """
    pool = ThreadPoolExecutor(threads, thread_name_prefix="lsq_sketch")
    all_run = threading.Barrier(threads)

    def start() -> None:
        for future in [pool.submit(all_run.wait) for _ in range(threads)]:
            future.result()

    starter = threading.Thread(target=start)
    starter.start()
    starter.join()
    return pool


def for_each(work: Callable[[Piece], Result], pieces: Sequence[Piece]) -> list[Result]:
    """``[work(piece) for piece in pieces]``, on all threads.

    The calling thread works too, so that short work need not wait for others to wake. After an
    error, or Ctrl-C, no piece is begun any more, and those that others have begun are not waited
    for.

    Parameters
    ----------
    work : callable
        Must release the GIL to gain anything, and write only what belongs to its piece. Calls
        of `for_each` inside it run on its own thread.
    pieces : sequence

    Returns
    -------
    list
        Results in the order of ``pieces``.

    Examples
    --------
    >>> for_each(lambda piece: piece + 1, [1, 2, 3])
    [2, 3, 4]
    """
    threads = min(thread_count(), len(pieces))
    if threads <= 1 or getattr(_worker, "busy", False):
        return [work(piece) for piece in pieces]
    left = deque(enumerate(pieces))
    results: dict[int, Result] = {}

    def take() -> None:
        _worker.busy = True
        try:
            while True:
                try:
                    number, piece = left.popleft()
                except IndexError:
                    return
                results[number] = work(piece)
        except BaseException:
            left.clear()
            raise
        finally:
            _worker.busy = False

    pool = _pool(os.getpid(), thread_count())
    others = [pool.submit(take) for _ in range(threads - 1)]
    try:
        take()
    finally:  # after an error, or Ctrl-C, nobody waits for pieces that others have begun
        awake = [other for other in others if not other.cancel()]
    for other in awake:
        other.result()
    return [results[number] for number in range(len(pieces))]


def row_chunks(n: int, rows: int) -> list[tuple[int, int]]:
    """Bounds of consecutive chunks of ``rows`` rows that cover ``0..n``.

    Examples
    --------
    >>> row_chunks(5, 2)
    [(0, 2), (2, 4), (4, 5)]
    """
    return [(start, min(n, start + rows)) for start in range(0, n, rows)]
