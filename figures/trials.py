"""Independent trials on threads, with the same numbers for any number of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import TypeVar

import numpy as np

from lsq_sketch.threads import single_threaded_blas, thread_count

Case = TypeVar("Case")

Progress = Callable[[int, int], None]
"""Called with the number of trials done and in all."""


def silent(done: int, total: int) -> None:
    """No progress report."""


def run_trials(
    trial: Callable[[Case, np.random.Generator], np.ndarray],
    cases: Sequence[Case],
    count: int,
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
    count : int
        Trials a case.
    seed : numpy.random.SeedSequence
    progress : callable
        Called from this thread after each trial.

    Returns
    -------
    list of ndarray, shapes (count, ...)
        The results of each case, in the order of the spawned streams.

    Raises
    ------
    Exception
        Whatever a trial raised first; trials not yet begun are dropped, as on Ctrl-C.

    Examples
    --------
    >>> seed = np.random.SeedSequence(0)
    >>> results = run_trials(lambda size, rng: rng.random(size), [2, 3], 4, seed)
    >>> [result.shape for result in results]
    [(4, 2), (4, 3)]
    """
    jobs = [case for case in cases for _ in range(count)]
    generators = [np.random.default_rng(child) for child in seed.spawn(len(jobs))]
    with single_threaded_blas(), ThreadPoolExecutor(thread_count()) as pool:
        futures = [pool.submit(trial, *job) for job in zip(jobs, generators, strict=True)]
        try:
            for done, future in enumerate(as_completed(futures), 1):
                future.result()
                progress(done, len(futures))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    results = [future.result() for future in futures]
    return [np.stack(results[i : i + count]) for i in range(0, len(results), count)]
