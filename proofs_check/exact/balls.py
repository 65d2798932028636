"""The integrals of `proofs_check.integrals`, enclosed in balls by python-flint (FLINT/Arb).

The enclosures are rigorous: truncation, quadrature and rounding errors are all within the ball.
Spectra and weights are exact rationals: what is proved holds for a problem with exactly these.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from .interval import Interval

if TYPE_CHECKING:
    from flint import acb, arb

UNKNOWN = Interval.exactly(0).widened(Fraction(2) ** 1000)
"""Where a ball is not finite: it decides nothing."""

GUARD_BITS = 24
"""Integrals are asked for to so many bits less than the working precision."""


def weighted_share(
    squared: Sequence[Fraction], coefficients: Sequence[Fraction], bits: int
) -> Interval:
    """``sum_j c_j lambda_j``, ``lambda_j`` the expected share of direction ``j``.

    ``lambda_j = int_0^inf s_j/(1 + 2 t s_j) prod_l (1 + 2 t s_l)^{-1/2} dt`` (claim
    dense-first-column-exact). With ``t = (1 - v^2)/v^2`` the integrand is analytic on [0, 1].

    Parameters
    ----------
    squared : sequence of Fraction, (r,)
        ``s``: squared singular values, positive. Equal ones are taken together.
    coefficients : sequence of Fraction, (r,)
        ``c``.
    bits : int
        Working precision.

    Returns
    -------
    Interval

    Examples
    --------
    >>> found = weighted_share([Fraction(9), Fraction(1)], [Fraction(1), Fraction(0)], 128)
    >>> abs(found.middle - 0.75) < 1e-15  # sigma_1 / (sigma_1 + sigma_2)
    True
    """
    largest, r = max(squared), len(squared)
    multiplicity = Counter(squared)
    if len(multiplicity) == 1:  # by symmetry
        return Interval.exactly(sum(coefficients, Fraction(0)) / r)
    import flint

    factor = dict.fromkeys(squared, Fraction(0))
    for s, c in zip(squared, coefficients, strict=True):
        factor[s] += c
    with flint.ctx.workprec(bits):
        groups = [
            (_ball(s / largest), count, _ball(factor[s] * s / largest))
            for s, count in multiplicity.items()
        ]

        def integrand(v: acb, analytic: bool) -> acb:
            v2 = v * v
            u = 2 * (1 - v2)
            root = v ** (r - 1)
            total = flint.acb(0)
            for s, count, weight in groups:
                line = v2 + u * s
                root *= line.rsqrt(analytic=analytic) ** count
                if not weight.is_zero():
                    total += weight / line
            return 2 * root * total

        return _integral(integrand, 0, 1, bits)


def smallest_shares(
    squared: Sequence[Fraction], counts: Sequence[int], bits: int
) -> list[Interval]:
    """``lmin(sigma_1, ..., sigma_{c-1}, sigma_r)`` for each ``c`` in ``counts``.

    Parameters
    ----------
    squared : sequence of Fraction, (r,)
        Squared singular values, descending.
    counts : sequence of int
        From 1 to r.
    bits : int

    Returns
    -------
    list of Interval
        Exact where all singular values that count are equal.

    Examples
    --------
    >>> smallest_shares([Fraction(1)] * 3, [2], 64)
    [Interval(lower=Fraction(1, 2), upper=Fraction(1, 2))]
    """
    found = []
    for count in counts:
        spectrum = [*squared[: count - 1], squared[-1]]
        last = [Fraction(0)] * (count - 1) + [Fraction(1)]
        found.append(weighted_share(spectrum, last, bits).within(0, 1))
    return found


def weighted_loss(
    weights: Sequence[Fraction], energies: Sequence[Fraction], m: int, bits: int
) -> Interval:
    """``sum_i E_i (1 - q_i)``, ``q_i = int_0^inf w_i e^{-t w_i} prod_{j != i} (...) dt``.

    With ``1 - 1/m + e^{-t w_j}/m`` in the product (claim one-hot-exact); the tail of the integral
    is bounded by that of its first factor.

    Parameters
    ----------
    weights : sequence of Fraction, (d1,)
        ``w``, positive. Equal ones are taken together.
    energies : sequence of Fraction, (d1,)
        ``E``, nonnegative.
    m : int
        Buckets.
    bits : int
        Working precision.

    Returns
    -------
    Interval

    Examples
    --------
    >>> found = weighted_loss([Fraction(1), Fraction(1)], [Fraction(1), Fraction(0)], 2, 128)
    >>> abs(found.middle - 0.25) < 1e-15
    True
    """
    import flint

    smallest = min(weights)
    multiplicity = Counter(weights)
    energy = dict.fromkeys(weights, Fraction(0))
    for w, e in zip(weights, energies, strict=True):
        energy[w] += e
    total = sum(energies, Fraction(0))
    with flint.ctx.workprec(bits):
        groups = [
            (_ball(w / smallest), count, _ball(energy[w] * w / smallest))
            for w, count in multiplicity.items()
        ]
        others = flint.arb(m - 1)

        def integrand(t: acb, analytic: bool) -> acb:
            shared = flint.acb(1)
            kept = flint.acb(0)
            for w, count, weight in groups:
                decay = (-t * w).exp()
                factor = (others + decay) / m
                shared *= factor**count
                kept += weight * decay / factor
            return shared * kept

        end = bits  # e^{-bits} is far below the precision asked for
        kept = _integral(integrand, 0, end, bits)
        tail = _interval((-flint.arb(end)).exp()).scaled(total)
    kept = kept + Interval(Fraction(0), tail.upper)
    return Interval.exactly(total) - kept


def _integral(integrand: Callable[[acb, bool], acb], start: int, end: int, bits: int) -> Interval:
    import flint

    goal = flint.arb(2) ** (GUARD_BITS - bits)
    found = flint.acb.integral(integrand, start, end, rel_tol=goal, abs_tol=goal**4)
    return _interval(found.real)


def _ball(value: Fraction) -> arb:
    import flint

    return flint.arb(flint.fmpq(value.numerator, value.denominator))


def _interval(ball: arb) -> Interval:
    if not ball.is_finite():
        return UNKNOWN
    middle, radius = (_fraction(part) for part in (ball.mid(), ball.rad()))
    return Interval(middle - radius, middle + radius)


def _fraction(exact: Any) -> Fraction:
    mantissa, exponent = exact.man_exp()
    return Fraction(int(mantissa)) * Fraction(2) ** int(exponent)
