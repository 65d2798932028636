"""Bounds on the excess of Dense CCE over its rounds, and the rounds they take to an accuracy.

The claims' rates as logarithms: a rate of ``1 - 1e-13`` has lost its digits, its logarithm has not.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..integrals import smallest_direction_weights

SPECTRUM_CHUNK = 4096
"""Singular values taken into one step of the quadrature: a few hundred nodes for each."""


@dataclass(frozen=True)
class Contraction:
    """A bound on ``E e_i / e_0`` (or its value): a product of factors, one a round.

    Attributes
    ----------
    first : tuple of float
        Logarithms of the factors of the first rounds, ``-inf`` where nothing is left.
    later : float
        Logarithm of the factor of all further rounds.
    """

    first: tuple[float, ...]
    later: float

    def log_bound(self, i: int) -> float:
        """Logarithm of the bound after ``i`` rounds.

        Examples
        --------
        >>> Contraction((-1.0,), -2.0).log_bound(3)
        -5.0
        """
        total = sum(self.first[:i])
        rest = max(0, i - len(self.first))
        return total + rest * self.later if rest else total

    def rounds(self, accuracy: float) -> float:
        """The least number of rounds ``i`` with bound at most ``accuracy``, below 1.

        Returns
        -------
        float
            A whole number; infinite if the bound never falls.

        Examples
        --------
        >>> Contraction((), math.log(0.5)).rounds(0.25)
        2.0
        """
        wanted = math.log(accuracy)
        for i in range(1, len(self.first) + 1):
            if self.log_bound(i) <= wanted:
                return float(i)
        if not self.later < 0:
            return math.inf
        if math.isinf(self.later):
            return float(len(self.first) + 1)
        estimate = len(self.first) + (wanted - sum(self.first)) / self.later
        i = max(len(self.first) + 1, math.ceil(estimate) - 1)
        while self.log_bound(i) > wanted:  # the division may have rounded either way
            i += 1
        return float(i)


def fitted_directions(m: int, rank: int) -> list[int]:
    """``rank(X T_{i-1})`` before round ``i = 1, 2, ...``: 0, m, ..., ``rank(X T*)``, then the same.

    ``X T_i`` is a projection of ``X T*`` on a space of ``rank(X T_{i-1}) + m`` dimensions in
    general position.

    Examples
    --------
    >>> fitted_directions(4, 10), fitted_directions(64, 10)
    ([0, 4, 8, 10], [0, 10])
    """
    directions = [0]
    while directions[-1] < rank:
        directions.append(min(rank, directions[-1] + m))
    return directions


def by_steps(log_factor: Callable[[int], float], m: int, rank: int) -> Contraction:
    """The contraction whose factor depends on the directions ``t0`` already fitted."""
    factors = [log_factor(t0) for t0 in fitted_directions(m, rank)]
    return Contraction(tuple(factors[:-1]), factors[-1])


def dense_rate(rho: float, m: int) -> Contraction:
    """Claim dense-rate, the paper's Theorem 3.1: ``(1 - rho)^m`` in each round."""
    return Contraction((), m * math.log1p(-rho) if rho < 1 else -math.inf)


def whitened_rate(d1: int, m: int) -> Contraction:
    """Claim whitened-rate, the paper's: ``(1 - 1/d1)^m`` in each round."""
    return Contraction((), m * math.log1p(-1 / d1) if d1 > 1 else -math.inf)


def whitened_law(r: int, m: int, rank: int) -> Contraction:
    """Claim whitened-law, exact: ``1 - m/(r - t0)`` in a round.

    The claim is for ``m >= d2``; the same proof holds, with ``t0 = rank(X T_{i-1})``, for less.

    Parameters
    ----------
    r : int
        Rank of ``X``.
    m : int
    rank : int
        Of ``X T*``.
    """

    def log_factor(t0: int) -> float:
        return math.log1p(-m / (r - t0)) if m < r - t0 else -math.inf

    return by_steps(log_factor, m, rank)


def count_sketch_rate(rho: float, m: int) -> Contraction:
    """Claim dense-count-sketch-rate: ``1 - m rho / (1 + rho + m rho)`` in each round."""
    return Contraction((), math.log1p(-m * rho / (1 + rho + m * rho)))


class Quadrature:
    """Claim dense-quadrature-rate for many widths at once.

    Parameters
    ----------
    singular_values : ndarray of float64, shape (r,)
        Positive, descending.
    most : int
        Largest ``t0 + m`` to be asked for.
    """

    def __init__(self, singular_values: np.ndarray, most: int):
        r = len(singular_values)
        least = max(2, r - most + 1)
        stops = range(SPECTRUM_CHUNK, least, SPECTRUM_CHUNK)  # so that it works in pieces
        counts = np.array([*stops, *range(least, r + 1)], dtype=int)
        weights = smallest_direction_weights(singular_values, counts)[len(stops) :]
        self._r = r
        self._log = np.log1p(-weights[::-1])  # of the factor for t = 0, 1, ...

    def contraction(self, m: int, rank: int) -> Contraction:
        """The product for ``m`` fresh columns and ``X T*`` of this rank."""

        def log_factor(t0: int) -> float:
            if self._r - t0 <= m:
                return -math.inf
            return float(self._log[t0 : t0 + m].sum())

        return by_steps(log_factor, m, rank)
