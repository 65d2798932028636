"""Independent trials on threads, with the same numbers for any number of them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from itertools import count
from typing import TypeVar

import numpy as np

from lsq_sketch.threads import for_each, single_threaded_blas

Case = TypeVar("Case")

Progress = Callable[[int, int], None]
"""Called with the number of trials done and in all."""


def silent(done: int, total: int) -> None:
    """No progress report."""


def run_trials(
    trial: Callable[[Case, np.random.Generator], np.ndarray],
    cases: Sequence[Case],
    repeats: int,
    seed: np.random.SeedSequence,
    progress: Progress = silent,
) -> list[np.ndarray]:
    """Independent trials of each case, on all threads.

    Each trial draws from its own spawned stream and runs BLAS on one thread, so that its result
    depends on ``seed`` alone.

    Parameters
    ----------
    trial : callable
        ``trial(case, rng) -> ndarray``, always of the same shape for a case.
    cases : sequence
    repeats : int
        Trials a case.
    seed : numpy.random.SeedSequence
    progress : callable
        Called after each trial, by one thread at a time.

    Returns
    -------
    list of ndarray, shapes (repeats, ...)
        The results of each case, in the order of the spawned streams.

    Raises
    ------
    Exception
        Whatever the first of the trials that failed raised; trials not yet begun are dropped, as
        on Ctrl-C.

    Examples
    --------
    >>> seed = np.random.SeedSequence(0)
    >>> results = run_trials(lambda size, rng: rng.random(size), [2, 3], 4, seed)
    >>> [result.shape for result in results]
    [(4, 2), (4, 3)]
    """
    cells = [case for case in cases for _ in range(repeats)]
    jobs = list(zip(cells, seed.spawn(len(cells)), strict=True))
    done, reporting = count(1), threading.Lock()

    def run(job: tuple[Case, np.random.SeedSequence]) -> np.ndarray:
        case, child = job
        result = trial(case, np.random.default_rng(child))
        with reporting:
            progress(next(done), len(jobs))
        return result

    with single_threaded_blas():
        results = for_each(run, jobs)
    return [np.stack(results[i : i + repeats]) for i in range(0, len(results), repeats)]
