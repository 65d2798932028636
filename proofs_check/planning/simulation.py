"""How many rounds Dense CCE takes, by simulation: trajectories until all have arrived.

Excess is taken relative to ``e_0``. Two questions are answered from the same trajectories: after
how many rounds the *mean* of ``e_i / e_0`` is at most eps, which is what the theorems speak of, and
after how many rounds *one run* is there, which is a random number with quantiles.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit

from lsq_sketch import CountSketch
from lsq_sketch.reductions.base import PREVIOUS, Block, FactoredReduction
from lsq_sketch.rng import generator
from lsq_sketch.threads import for_each, single_threaded_blas

FLOOR = 1e-20
"""Accuracies below this, relative to ``e_0``, are rounding error."""

CHUNK_SECONDS = 0.5
"""One piece of work should take no longer, so that Ctrl-C is heeded at once."""


@dataclass(frozen=True)
class Target:
    """What is known of the target of a least-squares problem.

    Attributes
    ----------
    name : str
    rank : int
        Rank of ``X T*``: at least so many directions are fitted by a table that has seen enough.
    draw : callable
        ``draw(rng) -> ndarray (r, columns)``, the target ``Q'Y`` in the coordinates of the
        reduction, without columns that are zero: they change no excess.
    columns : int
    """

    name: str
    rank: int
    draw: Callable[[np.random.Generator], np.ndarray]
    columns: int


@dataclass(frozen=True)
class Estimate:
    """A number of rounds with its confidence interval; infinite where none simulated suffices.

    Attributes
    ----------
    value, lower, upper : float
        Whole numbers, or infinity: more than were simulated; for ``upper`` also: these runs are too
        few to say.
    """

    value: float
    lower: float
    upper: float


@dataclass(frozen=True)
class Measured:
    """What the trajectories say of one accuracy.

    Attributes
    ----------
    trials, rounds : int
        Trajectories, and rounds of each.
    reached : float
        Mean of ``e_i / e_0`` after the last round.
    mean : Estimate
        First round at which the mean of ``e_i / e_0`` is at most eps.
    median, ninety : Estimate
        Rounds after which half, and nine in ten, of the runs are at most eps.
    """

    trials: int
    rounds: int
    reached: float
    mean: Estimate
    median: Estimate
    ninety: Estimate


def dense_noise_seconds(r: int, k: int) -> float:
    """Rough cost of a round with dense noise on one core: draws, Gram matrix and its factor.

    A fixed model, so that budgets mean the same everywhere; within a factor of two from ``r = 50``
    to 10,000 where it was measured.

    Examples
    --------
    >>> 1e-3 < dense_noise_seconds(1000, 110) < 1e-2
    True
    """
    return 1e-4 + r * k * (1.2e-8 + 5e-11 * k) + 1.5e-11 * k**3


def count_sketch_seconds(r: int, d1: int, nonzeros: int | None, k: int, columns: int) -> float:
    """Rough cost of a round with count-sketch noise on one core, ``columns`` those of the target.

    ``nonzeros`` of a sparse design; None for a dense one, whose factor has ``r x d1`` entries.

    Examples
    --------
    >>> count_sketch_seconds(9736, 9737, 200_008, 64, 1) < dense_noise_seconds(9736, 64)
    True
    """
    if nonzeros is None:
        return 3e-4 + 1e-9 * r * d1 + 5e-11 * r * k**2
    return 3e-4 + 1e-8 * nonzeros + 4e-8 * r * columns + 5e-11 * k**3


class Run:
    """One trajectory of Dense CCE on a factored design.

    Parameters
    ----------
    reduction : FactoredReduction
        Of the design; its own target is not used.
    d1 : int
        Columns of the design.
    target : Target
    noise : {"gaussian", "whitened", "count-sketch"}
    m : int
        Fresh columns a round.
    rng : int, SeedSequence or numpy.random.Generator
        Draws the target, then the noise.
    """

    def __init__(
        self, reduction: FactoredReduction, d1: int, target: Target, noise: str, m: int, rng: object
    ):
        self._rng = generator(rng)
        self._reduction = copy.copy(reduction)  # the same factors with another target
        self._reduction.target = target.draw(self._rng)
        self._d1, self._noise, self._m = d1, noise, m
        self._state = self._reduction.start()
        self._initial = self._state.excess
        self._ratio = 1.0

    def _fresh(self) -> Block:
        if self._noise == "gaussian":
            return self._reduction.gaussian(self._rng, self._m)
        if self._noise == "whitened":
            return self._reduction.whitened(self._rng, self._m)
        return CountSketch(self._d1, self._m, self._rng)

    def advance(self, rounds: int) -> np.ndarray:
        """``e_i / e_0`` after each of the next rounds, (rounds,)."""
        ratios = np.empty(rounds)
        for i in range(rounds):
            if self._ratio > FLOOR * FLOOR:  # below it there is nothing left to fit
                self._state.fit([PREVIOUS, self._fresh()])
                self._ratio = self._state.excess / self._initial
            ratios[i] = self._ratio
        return ratios


def trajectories(
    runs: list[Run],
    accuracy: float,
    max_rounds: int,
    cost: float,
    confidence: float,
    keep: Callable[[np.ndarray], None] = lambda ratios: None,
) -> np.ndarray:
    """Advance all runs until every one is at most ``accuracy``, and so is, surely, their mean.

    Parameters
    ----------
    runs : list of Run
        At least two, not yet begun.
    accuracy : float
    max_rounds : int
        At most so many rounds.
    cost : float
        Seconds a round, to cut the work into pieces. The result does not depend on it.
    confidence : float
        Of the interval of the mean.
    keep : callable
        Given the ratios so far after every piece, for when the work is interrupted.

    Returns
    -------
    ndarray of float64, shape (runs, rounds + 1)
        ``e_i / e_0``, the first 1.
    """
    ratios = np.ones((len(runs), 1))
    chunk = 1
    with single_threaded_blas():
        while ratios.shape[1] <= max_rounds and not _arrived(ratios, accuracy, confidence):
            rounds = min(chunk, max_rounds + 1 - ratios.shape[1])
            parts = for_each(lambda run, count=rounds: run.advance(count), runs)  # type: ignore[misc]
            ratios = np.hstack([ratios, np.stack(parts)])
            keep(ratios)
            chunk = min(2 * chunk, max(1, int(CHUNK_SECONDS / cost)))
    return ratios[:, : _last_needed(ratios, accuracy, confidence) + 1]


def _arrived(ratios: np.ndarray, accuracy: float, confidence: float) -> bool:
    _, high = mean_interval(ratios[:, -1:], confidence)
    return bool((ratios[:, -1] <= accuracy).all() and high[0] <= accuracy)


def _last_needed(ratios: np.ndarray, accuracy: float, confidence: float) -> int:
    """First round at which all have arrived: where it is does not depend on the chunks."""
    _, high = mean_interval(ratios, confidence)
    done = (ratios <= accuracy).all(axis=0) & (high <= accuracy)
    return int(done.argmax()) if done.any() else ratios.shape[1] - 1


def mean_interval(ratios: np.ndarray, confidence: float) -> tuple[np.ndarray, np.ndarray]:
    """Approximate confidence interval for the mean of each column of positive numbers.

    Student's t on the scale of logarithms, ``mean exp(-+ t s / (mean sqrt(N)))``.

    Parameters
    ----------
    ratios : ndarray of float64, shape (N, q)
        Nonnegative.
    confidence : float

    Returns
    -------
    low, high : ndarray of float64, shape (q,)

    Examples
    --------
    >>> low, high = mean_interval(np.array([[1.0], [3.0]]), 0.5)
    >>> bool(low[0] < 2 < high[0])
    True
    """
    count = len(ratios)
    mean = ratios.mean(axis=0)
    error = ratios.std(axis=0, ddof=1) / np.sqrt(count)
    relative = np.divide(error, mean, out=np.zeros_like(mean), where=mean > 0)
    spread = np.exp(stdtrit(count - 1, (1 + confidence) / 2) * relative)
    return mean / spread, mean * spread


def measure(ratios: np.ndarray, accuracy: float, confidence: float) -> Measured:
    """After how many rounds an accuracy is reached: by the mean, and by one run.

    The mean of ``e_i / e_0`` falls in every round, so the interval for the first round at which it
    is at most eps needs no correction for looking at many: its ends can miss only if the interval
    of the mean misses at that one round, or at the one before.

    Parameters
    ----------
    ratios : ndarray of float64, shape (N, rounds + 1)
        ``e_i / e_0`` of N independent runs.
    accuracy : float
        eps, relative to ``e_0``.
    confidence : float
        Of each interval: approximate for the mean (`mean_interval`), at least this for the
        quantiles (order statistics).

    Returns
    -------
    Measured

    Examples
    --------
    >>> ratios = np.tile([1.0, 0.5, 0.25, 0.125], (20, 1))
    >>> found = measure(ratios, 0.2, 0.95)
    >>> found.mean, found.median.value
    (Estimate(value=3.0, lower=3.0, upper=3.0), 3.0)
    """
    low, high = mean_interval(ratios, confidence)
    above = np.flatnonzero(high > accuracy)
    last = int(above[-1]) + 1 if above.size else 0
    mean = Estimate(
        _first(ratios.mean(axis=0) <= accuracy),
        _first(low <= accuracy),
        float(last) if last < ratios.shape[1] else np.inf,
    )
    arrivals = np.array([_first(run <= accuracy) for run in ratios])
    return Measured(
        len(ratios),
        ratios.shape[1] - 1,
        float(ratios[:, -1].mean()),
        mean,
        _quantile(arrivals, 0.5, confidence),
        _quantile(arrivals, 0.9, confidence),
    )


def _first(reached: np.ndarray) -> float:
    return float(reached.argmax()) if reached.any() else np.inf


def _quantile(arrivals: np.ndarray, level: float, confidence: float) -> Estimate:
    from scipy.stats import quantile_test  # here: it takes its time

    interval = quantile_test(arrivals, p=level).confidence_interval(confidence)
    lower = 1.0 if np.isnan(interval.low) else float(interval.low)
    upper = np.inf if np.isnan(interval.high) else float(interval.high)
    value = float(np.quantile(arrivals, level, method="inverted_cdf"))
    return Estimate(value, lower, upper)
