"""What the integrals over a spectrum prove: for a problem with exactly these singular values."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from math import prod

import numpy as np

from lsq_sketch import LeastSquares

from ..claim import Kind, TooCostlyError
from ..finding import Certainty
from ..integrals import direction_weights
from ..profile import LARGE_RANK
from .balls import smallest_shares, weighted_share
from .comparison import ROUNDING, Comparison, first_decided
from .effort import Effort
from .interval import Interval

ENCLOSED = Fraction(1, 10**15)
"""A number that is only enclosed equals another if all of the ball is within this of it."""

QUADRATURE = Fraction(1, 10**11)
"""What the quadratures in floating point may be off by."""

ONE = Interval.exactly(1)


@dataclass(frozen=True)
class Spectrum:
    """Singular values, as they are stored: the floats are the problem, exactly.

    Attributes
    ----------
    singular_values : ndarray of float64, shape (r,)
        Positive, descending.
    """

    singular_values: np.ndarray

    @cached_property
    def squared(self) -> list[Fraction]:
        """Their squares, exactly."""
        return [Fraction(value) ** 2 for value in self.singular_values.tolist()]

    @cached_property
    def _known(self) -> dict[tuple[int, int], Interval]:
        return {}

    def shares(self, counts: Sequence[int], bits: int) -> list[Interval]:
        """``lmin(sigma_1, ..., sigma_{c-1}, sigma_r)`` for each ``c``; each integral once."""
        missing = [count for count in counts if (count, bits) not in self._known]
        for count, share in zip(missing, smallest_shares(self.squared, missing, bits), strict=True):
            self._known[count, bits] = share
        return [self._known[count, bits] for count in counts]

    @cached_property
    def rho(self) -> Fraction:
        """``sigma_r^2 / sum_j sigma_j^2``, exactly."""
        return self.squared[-1] / sum(self.squared)

    def smallest_share(self, bits: int) -> Interval:
        """``lambda_min``."""
        return self.shares([len(self.squared)], bits)[0]

    def rate(self, m: int, t0: int, bits: int) -> Interval:
        """The product of dense-quadrature-rate."""
        r = len(self.squared)
        counts = range(r - t0, r - t0 - m, -1)
        if counts[-1] <= 1:
            return Interval.exactly(0)
        shares = self.shares(counts, bits)
        return Interval(
            prod((1 - s.upper for s in shares), start=Fraction(1)),
            prod((1 - s.lower for s in shares), start=Fraction(1)),
        )

    def one_column(self, energies: Sequence[Fraction], bits: int) -> Interval:
        """``E e_1 / e_0`` with one noise column: ``sum_j (1 - lambda_j) |b_j|^2 / e_0``."""
        kept = weighted_share(self.squared, energies, bits)
        return ONE - kept.scaled(1 / sum(energies, Fraction(0)))


def spectrum_of(problem: LeastSquares, effort: Effort) -> Spectrum:
    """The spectrum of a problem, if balls can be had and it is not too large.

    Raises
    ------
    TooCostlyError
    """
    effort.require_balls()
    if not problem.reduction.spectrum_is_cheap:
        effort.require_few(problem.rank, "singular values")
    values = problem.singular_values
    effort.require_few(np.unique(values).size, "singular values")
    return Spectrum(values)


def energies_of(
    singular_coordinates: Callable[[LeastSquares], tuple[np.ndarray, np.ndarray]],
    problem: LeastSquares,
    effort: Effort,
) -> tuple[Spectrum, list[Fraction]]:
    """The spectrum beside ``|b_j|^2``, the energy of the target in each singular direction.

    Raises
    ------
    TooCostlyError
    """
    effort.require_balls()
    if min(problem.n, problem.d1) > LARGE_RANK:
        raise TooCostlyError(
            f"needs the singular vectors of X, computed here up to {LARGE_RANK} columns; "
            f"there are {problem.d1:,}"
        )
    values, energies = singular_coordinates(problem)
    effort.require_few(np.unique(values).size, "singular values")
    return Spectrum(values), [Fraction(energy) for energy in energies.tolist()]


def chebyshev(spectrum: Spectrum, effort: Effort) -> Comparison:
    """``rho / lambda_min <= 1``: the step of the proof of dense-rate that is not algebra."""

    def enclose(bits: int) -> Interval:
        share = spectrum.smallest_share(bits)
        if share.lower <= 0:  # too wide to divide by
            return Interval(Fraction(0), Fraction(2))
        return Interval(spectrum.rho / share.upper, spectrum.rho / share.lower)

    def estimate() -> float:
        return float(spectrum.rho) / float(direction_weights(spectrum.singular_values**2)[-1])

    return at_most("rho / lambda_min", enclose, estimate, Fraction(1), 1, effort)


def one_column(
    stage: str, spectrum: Spectrum, energies: Sequence[Fraction], bound: Fraction, effort: Effort
) -> Comparison:
    """The exact ``E e_1 / e_0`` of one Gaussian column from ``T_0 = 0``, against a bound."""

    def estimate() -> float:
        energy = np.array([float(e) for e in energies])
        shares = direction_weights(spectrum.singular_values**2)
        return float((1 - shares) @ energy / energy.sum())

    return at_most(
        stage, lambda bits: spectrum.one_column(energies, bits), estimate, bound, 1, effort
    )


def at_most(
    stage: str,
    enclose: Callable[[int], Interval],
    estimate: Callable[[], float],
    bound: Fraction,
    width: int,
    effort: Effort,
) -> Comparison:
    """A number against an upper bound: in balls by ``enclose(bits)``, or in floating point."""
    limit = Interval.exactly(bound)
    if effort.is_floating:
        return Comparison(
            stage, Kind.UPPER_BOUND, Interval.exactly(estimate()), limit, Certainty.ROUNDING,
            ROUNDING, width=width,
        )  # fmt: skip
    return first_decided(
        lambda bits: Comparison(
            stage, Kind.UPPER_BOUND, enclose(bits), limit, Certainty.PROOF, width=width
        )
    )


def enclosed_equality(
    stage: str,
    enclose: Callable[[int], Interval],
    claimed: float | Fraction,
    tolerance: Fraction,
    width: int,
) -> Comparison:
    """A number in a ball against what it is claimed to be, within a tolerance."""
    expected = Interval.exactly(claimed)
    return first_decided(
        lambda bits: Comparison(
            stage, Kind.EQUALITY, enclose(bits), expected, Certainty.PROOF, tolerance, width=width
        )
    )


def equality_in_floating_point(
    stage: str, value: float, claimed: float | Fraction, width: int
) -> Comparison:
    """A computed number against what it is claimed to be, to rounding."""
    return Comparison(
        stage, Kind.EQUALITY, Interval.exactly(value), Interval.exactly(claimed),
        Certainty.ROUNDING, ROUNDING, width=width,
    )  # fmt: skip
