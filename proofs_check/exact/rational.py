"""Least squares and expectations over count sketches in integers and rationals.

Floats are binary fractions, so that a stored design and target are, up to a common factor, integer
matrices; their normal equations ``G = X'X``, ``F = X'Y`` are integers too. The gain of a codebook
``C`` is ``tr(F'C (C'GC)^+ C'F)``; elimination without fractions (Bareiss 1968) finds it in integer
arithmetic alone.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from itertools import product
from math import gcd, isqrt, perm

import numpy as np

from .interval import Interval

Matrix = list[list[int]]
Rationals = list[list[Fraction]]

FIXED_POINT = 200
"""Bits after the binary point in sums that need not be exact, only enclosed."""


# ------------------------------------------------------------------ exact input


def integers(values: np.ndarray) -> tuple[np.ndarray, Fraction]:
    """Floats as integers times a common rational.

    Parameters
    ----------
    values : ndarray of float64
        Finite.

    Returns
    -------
    (ndarray of Python int, Fraction)
        ``values == integers * scale``, exactly.

    Examples
    --------
    >>> whole, scale = integers(np.array([0.75, -1.5]))
    >>> whole.tolist(), scale
    ([1, -2], Fraction(3, 4))
    """
    mantissas, exponents = np.frexp(values)
    seen = values != 0
    if not seen.any():
        return np.zeros(values.shape, int).astype(object), Fraction(1)
    whole = (mantissas * 2.0**53).astype(np.int64)
    common = int(np.gcd.reduce(whole, axis=None))
    lowest = int(exponents[seen].min())
    shifts = np.where(seen, exponents - lowest, 0)
    scaled = (whole // common).astype(object) << shifts.astype(object)
    return scaled, Fraction(2) ** (lowest - 53) * common


def integer_product(A: np.ndarray, B: np.ndarray) -> Matrix:
    """``A'B`` of integer matrices, exactly; through int64 where nothing can overflow."""
    largest = int(abs(A).max(initial=0)) * int(abs(B).max(initial=0)) * len(A)
    if largest < 1 << 62:
        A, B = A.astype(np.int64), B.astype(np.int64)
    return [[int(entry) for entry in row] for row in A.T.dot(B)]


# ------------------------------------------------------------------ elimination


@dataclass
class Elimination:
    """Normal equations after some columns have been eliminated without fractions.

    Attributes
    ----------
    gram : list of list of int, (p, p)
        What is left of the Gram matrix, times ``pivot``.
    moments : list of list of int, (p, d2)
        What is left of the right-hand sides, times ``pivot``.
    gained : list of int, (d2,)
        Minus ``f'A^{-1}f`` of the eliminated columns for each right-hand side, times ``pivot``.
    pivot : int
        Determinant of the eliminated block.
    """

    gram: Matrix
    moments: Matrix
    gained: list[int]
    pivot: int

    def eliminate(self, count: int) -> None:
        """Eliminate the first ``count`` columns that are left, in place.

        A zero pivot of a positive semidefinite matrix has zeros in its row: it is passed over.
        """
        A, f, g, previous = self.gram, self.moments, self.gained, self.pivot
        size, targets = len(A), range(len(g))
        for k in range(count):
            pivot, row, right = A[k][k], A[k], f[k]
            if pivot == 0:
                continue
            for t in targets:
                g[t] = (pivot * g[t] - right[t] * right[t]) // previous
            for i in range(k + 1, size):
                lower, factor = A[i], row[i]
                for j in range(i, size):
                    lower[j] = (pivot * lower[j] - factor * row[j]) // previous
                left = f[i]
                for t in targets:
                    left[t] = (pivot * left[t] - factor * right[t]) // previous
            previous = pivot
        self.pivot = previous
        self.gram = [row[count:] for row in A[count:]]
        self.moments = f[count:]


def gain(gram: Matrix, moments: Matrix) -> Fraction:
    """``tr(F' G^+ F)``: what least squares with these normal equations gains over zero.

    Parameters
    ----------
    gram : (p, p), positive semidefinite
    moments : (p, d2), columns in the range of ``gram``

    Returns
    -------
    Fraction

    Examples
    --------
    >>> gain([[2, 1], [1, 1]], [[1], [1]])
    Fraction(1, 1)
    """
    state = Elimination(
        [list(row) for row in gram], [list(row) for row in moments], [0] * len(moments[0]), 1
    )
    state.eliminate(len(gram))
    return Fraction(-sum(state.gained), state.pivot)


def is_positive_definite(matrix: Matrix) -> bool:
    """Whether all pivots of a symmetric integer matrix are positive.

    Examples
    --------
    >>> is_positive_definite([[2, 1], [1, 1]]), is_positive_definite([[1, 1], [1, 1]])
    (True, False)
    """
    A, previous = [list(row) for row in matrix], 1
    for k, row in enumerate(A):
        pivot = row[k]
        if pivot <= 0:
            return False
        for i in range(k + 1, len(A)):
            lower, factor = A[i], row[i]
            for j in range(i, len(A)):
                lower[j] = (pivot * lower[j] - factor * row[j]) // previous
        previous = pivot
    return True


def smallest_eigenvalue(gram: Matrix, relative: Fraction = Fraction(1, 1 << 40)) -> Interval:
    """An interval for the smallest eigenvalue, by the signs of the pivots of ``G - s I``.

    Parameters
    ----------
    gram : (p, p), positive definite
    relative : Fraction
        Width of the interval, relative to its upper end.

    Returns
    -------
    Interval

    Raises
    ------
    ValueError
        If ``gram`` is not positive definite.

    Examples
    --------
    >>> found = smallest_eigenvalue([[2, 0], [0, 5]])
    >>> float(found.lower), float(found.upper)
    (1.999999999998181, 2.0)
    """
    if not is_positive_definite(gram):
        raise ValueError("the matrix must be positive definite")

    def all_above(shift: Fraction) -> bool:
        return is_positive_definite(
            [
                [shift.denominator * entry - (shift.numerator if i == j else 0)
                 for j, entry in enumerate(row)]
                for i, row in enumerate(gram)
            ]
        )  # fmt: skip

    upper = Fraction(min(row[i] for i, row in enumerate(gram)))  # Rayleigh quotients
    lower = upper / 2
    while not all_above(lower):
        upper, lower = lower, lower / 2
    while upper - lower > relative * upper:
        between = (lower + upper) / 2
        if all_above(between):
            lower = between
        else:
            upper = between
    return Interval(lower, upper)


def largest_eigenvalue(gram: Matrix) -> Interval:
    """An interval for the largest eigenvalue of a positive semidefinite matrix.

    Examples
    --------
    >>> found = largest_eigenvalue([[2, 0], [0, 5]])
    >>> round(float(found.lower), 9), round(float(found.upper), 9)
    (5.0, 5.0)
    """
    above = 1 + sum(row[i] for i, row in enumerate(gram))  # the trace and more
    complement = [
        [(above if i == j else 0) - entry for j, entry in enumerate(row)]
        for i, row in enumerate(gram)
    ]
    return Interval.exactly(above) - smallest_eigenvalue(complement)


def lower_root(value: Fraction) -> Fraction:
    """A rational at most the square root, by less than ``2^-FIXED_POINT``.

    Examples
    --------
    >>> 0 <= 2 - lower_root(Fraction(2)) ** 2 < 1e-50
    True
    """
    return Fraction(
        isqrt((value.numerator << 2 * FIXED_POINT) // value.denominator), 1 << FIXED_POINT
    )


def solve(gram: Matrix, moments: Matrix) -> Rationals:
    """``G^{-1} F`` for a positive definite ``G``.

    Parameters
    ----------
    gram : (p, p)
    moments : (p, d2)

    Returns
    -------
    list of list of Fraction, (p, d2)

    Examples
    --------
    >>> solve([[2, 0], [0, 3]], [[1], [1]])
    [[Fraction(1, 2)], [Fraction(1, 3)]]
    """
    rows = [[Fraction(v) for v in (*a, *b)] for a, b in zip(gram, moments, strict=True)]
    size = len(rows)
    for k in range(size):
        rows[k] = [entry / rows[k][k] for entry in rows[k]]
        for i in range(size):
            if i != k and rows[i][k]:
                factor = rows[i][k]
                rows[i] = [a - factor * b for a, b in zip(rows[i], rows[k], strict=True)]
    return [row[size:] for row in rows]


# ------------------------------------------------------------------ expectations


@cache
def range_classes(d1: int, m: int) -> list[tuple[tuple[int, ...], tuple[int, ...], int]]:
    """The ``d1 x m`` count sketches up to order and sign of their columns.

    Neither changes the range of ``C``, nor ``CC'``.

    Parameters
    ----------
    d1, m : int

    Returns
    -------
    list of (buckets, signs, number of sketches)
        Buckets are numbered as they first occur, with sign +1 there. The numbers sum to
        ``(2m)^d1``.

    Examples
    --------
    >>> len(range_classes(6, 3)), sum(number for _, _, number in range_classes(6, 3))
    (1248, 46656)
    """
    classes = []
    for buckets in _partitions(d1, m):
        used = max(buckets) + 1
        first = {bucket: buckets.index(bucket) for bucket in buckets}
        free = [j for j, bucket in enumerate(buckets) if first[bucket] != j]
        for chosen in product((1, -1), repeat=len(free)):
            signs = [1] * d1
            for j, sign in zip(free, chosen, strict=True):
                signs[j] = sign
            classes.append((buckets, tuple(signs), perm(m, used) * 2**used))
    return classes


def _partitions(d1: int, m: int) -> Iterator[tuple[int, ...]]:
    """Partitions of ``d1`` rows into at most ``m`` blocks, as restricted growth strings."""

    def grow(prefix: tuple[int, ...], used: int) -> Iterator[tuple[int, ...]]:
        if len(prefix) == d1:
            yield prefix
            return
        for bucket in range(min(used + 1, m)):
            yield from grow((*prefix, bucket), max(used, bucket + 1))

    return grow((), 0)


def gains(
    gram: Matrix, moments: Matrix, m: int, fixed: Matrix | None = None
) -> Iterator[tuple[int, int, int]]:
    """What each codebook ``[P | C]`` gains over zero, ``C`` over all count sketches.

    Parameters
    ----------
    gram : (d1, d1), positive semidefinite
    moments : (d1, d2), columns in its range
    m : int
        Width of ``C``.
    fixed : (d1, p), optional
        ``P``.

    Yields
    ------
    (number of sketches, numerator, denominator)
        The gain of so many sketches each; the denominator is positive.
    """
    d1, d2 = len(gram), len(moments[0])
    state = Elimination([list(row) for row in gram], [list(row) for row in moments], [0] * d2, 1)
    if fixed:
        state = _beside(gram, moments, fixed)
    G, F, g, pivot = state.gram, state.moments, state.gained, state.pivot
    for i in range(d1):
        for j in range(i):
            G[i][j] = G[j][i]
    for buckets, signs, number in range_classes(d1, m):
        used = max(buckets) + 1
        A = [[0] * used for _ in range(used)]
        f = [[0] * d2 for _ in range(used)]
        for j in range(d1):
            row, target, sign = G[j], f[buckets[j]], signs[j]
            sums = A[buckets[j]]
            for k in range(d1):
                sums[buckets[k]] += sign * signs[k] * row[k]
            for t in range(d2):
                target[t] += sign * F[j][t]
        inner = Elimination(A, f, list(g), pivot)
        inner.eliminate(used)
        yield number, -sum(inner.gained), inner.pivot


def _beside(gram: Matrix, moments: Matrix, fixed: Matrix) -> Elimination:
    """What is left of the normal equations beside columns ``P`` that are in every codebook."""
    p, d2 = len(fixed[0]), len(moments[0])
    P, G, F = (np.array(part, dtype=object) for part in (fixed, gram, moments))
    both = np.block([[P.T.dot(G.dot(P)), P.T.dot(G)], [G.dot(P), G]])
    right = np.vstack([P.T.dot(F), F])
    state = Elimination(both.tolist(), right.tolist(), [0] * d2, 1)
    state.eliminate(p)
    return state


def expected_gain(
    gram: Matrix, moments: Matrix, m: int, unit: Fraction, fixed: Matrix | None = None
) -> Interval:
    """The expectation of `gains` over ``unit``, enclosed in fixed-point arithmetic.

    Parameters
    ----------
    gram, moments, m, fixed
        See `gains`.
    unit : Fraction
        Positive.

    Returns
    -------
    Interval
        Narrower than ``2^-FIXED_POINT``.
    """
    total = 0
    for number, numerator, denominator in gains(gram, moments, m, fixed):
        share = ((numerator * unit.denominator) << FIXED_POINT) // (denominator * unit.numerator)
        total += number * share
    count = (2 * m) ** len(gram)
    scale = count << FIXED_POINT
    return Interval(Fraction(total, scale), Fraction(total + count, scale))


def exact_expected_gain(gram: Matrix, moments: Matrix, m: int) -> Fraction:
    """The expectation of `gains`, exactly: where denominators are small, as for diagonal ``G``."""
    sums: dict[int, int] = defaultdict(int)
    for number, numerator, denominator in gains(gram, moments, m):
        common = gcd(numerator, denominator)
        sums[denominator // common] += number * (numerator // common)
    total = sum((Fraction(top, bottom) for bottom, top in sums.items()), Fraction(0))
    return total / (2 * m) ** len(gram)


def expected_entries(
    d1: int, m: int, entries: Callable[[Sequence[int], Sequence[int]], Matrix]
) -> np.ndarray:
    """The expectation of an integer matrix that depends on buckets and signs, exactly.

    Parameters
    ----------
    d1, m : int
    entries : callable
        ``entries(buckets, signs)``; it must not depend on the order and the signs of the columns
        of the sketch.

    Returns
    -------
    ndarray of Fraction

    Examples
    --------
    >>> expected_entries(2, 3, lambda h, s: [[int(h[0] == h[1])]])
    array([[Fraction(1, 3)]], dtype=object)
    """
    total = sum(
        number * np.array(entries(buckets, signs), dtype=object)
        for buckets, signs, number in range_classes(d1, m)
    )
    return np.asarray(total) * Fraction(1, (2 * m) ** d1)


def exact_bucket_shares(weights: Sequence[Fraction], m: int) -> list[Fraction]:
    """``q_i = int_0^inf w_i e^{-t w_i} prod_{j != i} (1 - 1/m + e^{-t w_j}/m) dt``, exactly.

    With ``z = e^{-t}`` the integrand is a polynomial with rational exponents, on [0, 1].

    Parameters
    ----------
    weights : sequence of Fraction, (d1,)
        Positive. The work is of the order of the number of distinct sums of them.
    m : int
        Buckets.

    Returns
    -------
    list of Fraction, (d1,)

    Examples
    --------
    >>> exact_bucket_shares([Fraction(1), Fraction(1)], 2)
    [Fraction(3, 4), Fraction(3, 4)]
    """
    shares = []
    for i, own in enumerate(weights):
        polynomial = {Fraction(0): 1}
        for j, other in enumerate(weights):
            if j != i:
                grown = {power: value * (m - 1) for power, value in polynomial.items()}
                for power, value in polynomial.items():
                    grown[power + other] = grown.get(power + other, 0) + value
                polynomial = grown
        integral = sum(value * own / (own + power) for power, value in polynomial.items())
        shares.append(integral / m ** (len(weights) - 1))
    return shares
