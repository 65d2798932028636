"""Expectations over all count sketches of a tiny size, as finite sums.

A ``d1 x m`` count sketch has one of ``2m`` entries in each row: the bucket and the sign. All
``(2m)^d1`` of them are visited by compiled loops, in a fixed order; none is left to chance.
"""

from __future__ import annotations

import numpy as np
from numba import njit

MOST_SKETCHES = 1 << 22
"""An enumeration beyond this would take seconds; it is refused."""

SHORT_SUM = 64
"""Sums over sketches are cut into pieces of so many terms, so that rounding errors stay small."""

DEPENDENT = 1e-12
"""A sketched column lies in the span of others if less than this part of the design is left."""


def sketch_count(d1: int, m: int) -> int:
    """Number of ``d1 x m`` count sketches, signs included: ``(2m)^d1``.

    Parameters
    ----------
    d1, m : int
        At least 1.

    Returns
    -------
    int

    Raises
    ------
    ValueError
        If there are more than `MOST_SKETCHES`.

    Examples
    --------
    >>> sketch_count(6, 3)
    46656
    """
    count = (2 * m) ** d1
    if count > MOST_SKETCHES:
        raise ValueError(
            f"d1={d1}, m={m}: there are {count:,} count sketches, enumerated up to "
            f"{MOST_SKETCHES:,}. Take fewer rows or buckets."
        )
    return count


def sketched_excesses(R: np.ndarray, B: np.ndarray, m: int) -> np.ndarray:
    """``min_M ||R C M - B||_F^2`` for every count sketch ``C``.

    Parameters
    ----------
    R : ndarray of float64, shape (r, d1)
    B : ndarray of float64, shape (r, d2)
        In the range of ``R`` for the excess of a codebook.
    m : int
        Buckets.

    Returns
    -------
    ndarray of float64, shape ((2m)^d1,)

    Examples
    --------
    >>> float(sketched_excesses(np.eye(2), np.ones((2, 1)), 2).mean())
    0.5
    """
    out = np.empty(sketch_count(R.shape[1], m))
    _fill_excesses(
        np.ascontiguousarray(R.T, dtype=float), np.ascontiguousarray(B.T, dtype=float), m, out
    )
    return out


def inner_products(x: np.ndarray, y: np.ndarray, m: int) -> np.ndarray:
    """``<C'x, C'y>`` for every count sketch ``C``.

    Parameters
    ----------
    x, y : ndarray of float64, shape (d1,)
    m : int
        Buckets.

    Returns
    -------
    ndarray of float64, shape ((2m)^d1,)

    Examples
    --------
    >>> sorted(inner_products(np.ones(2), np.ones(2), 1).tolist())
    [0.0, 0.0, 4.0, 4.0]
    """
    out = np.empty(sketch_count(x.size, m))
    _fill_inner_products(np.ascontiguousarray(x), np.ascontiguousarray(y), m, out)
    return out


def row_sketch_errors(U: np.ndarray, m: int) -> np.ndarray:
    """``||U'S'SU - I||_F^2`` for every count sketch ``S'`` of the rows of ``U``.

    Parameters
    ----------
    U : ndarray of float64, shape (n, d)
        Orthonormal columns.
    m : int
        Rows of ``S``.

    Returns
    -------
    ndarray of float64, shape ((2m)^n,)

    Examples
    --------
    >>> row_sketch_errors(np.ones((1, 1)), 2).tolist()
    [0.0, 0.0, 0.0, 0.0]
    """
    out = np.empty(sketch_count(len(U), m))
    _fill_row_sketch_errors(np.ascontiguousarray(U), m, out)
    return out


def expected_gram(R: np.ndarray, m: int) -> np.ndarray:
    """``E[R C C' R']`` over all count sketches ``C``.

    Parameters
    ----------
    R : ndarray of float64, shape (r, d1)
    m : int
        Buckets.

    Returns
    -------
    ndarray of float64, shape (r, r)

    Examples
    --------
    >>> expected_gram(np.eye(2), 3).tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """
    out = np.zeros((len(R), len(R)))
    count = sketch_count(R.shape[1], m)
    _sum_grams(np.ascontiguousarray(R.T), m, count, out)
    return out / count


def expected_second_moment(S: np.ndarray, m: int) -> np.ndarray:
    """``E[CC' S CC']`` over all count sketches ``C``.

    Parameters
    ----------
    S : ndarray of float64, shape (d1, d1)
        Symmetric.
    m : int
        Buckets.

    Returns
    -------
    ndarray of float64, shape (d1, d1)

    Examples
    --------
    >>> expected_second_moment(np.eye(2), 1).tolist()
    [[2.0, 0.0], [0.0, 2.0]]
    """
    out = np.zeros(S.shape)
    count = sketch_count(len(S), m)
    _sum_second_moments(np.ascontiguousarray(S), m, count, out)
    return out / count


# ------------------------------------------------------------------ kernels


@njit(cache=True, nogil=True)
def decode(code, m, buckets, signs):
    """The sketch of a number below ``(2m)^d1``: digit ``bucket + m [sign = -1]`` for each row."""
    for j in range(buckets.size):
        digit = code % (2 * m)
        code //= 2 * m
        if digit < m:
            buckets[j] = digit
            signs[j] = 1.0
        else:
            buckets[j] = digit - m
            signs[j] = -1.0


@njit(cache=True, nogil=True)
def _fill_excesses(columns, targets, m, out):
    """Columns of ``RC`` are orthogonalised twice over; what is left of the targets is summed."""
    d1, r = columns.shape
    d2 = targets.shape[0]
    buckets = np.empty(d1, np.int64)
    signs = np.empty(d1)
    basis = np.empty((m, r))
    left = np.empty((d2, r))
    largest = 0.0
    for j in range(d1):
        size = 0.0
        for i in range(r):
            size += columns[j, i] ** 2
        largest = max(largest, size)
    negligible = DEPENDENT**2 * largest
    for code in range(out.size):
        decode(code, m, buckets, signs)
        basis[:] = 0.0
        for j in range(d1):
            b = buckets[j]
            for i in range(r):
                basis[b, i] += signs[j] * columns[j, i]
        left[:] = targets
        rank = 0
        for c in range(m):
            for _ in range(2):
                for q in range(rank):
                    share = 0.0
                    for i in range(r):
                        share += basis[q, i] * basis[c, i]
                    for i in range(r):
                        basis[c, i] -= share * basis[q, i]
            size = 0.0
            for i in range(r):
                size += basis[c, i] ** 2
            if size <= negligible:
                continue
            length = np.sqrt(size)
            for i in range(r):
                basis[rank, i] = basis[c, i] / length
            for t in range(d2):
                share = 0.0
                for i in range(r):
                    share += basis[rank, i] * left[t, i]
                for i in range(r):
                    left[t, i] -= share * basis[rank, i]
            rank += 1
        total = 0.0
        for t in range(d2):
            for i in range(r):
                total += left[t, i] ** 2
        out[code] = total


@njit(cache=True, nogil=True)
def _fill_inner_products(x, y, m, out):
    d1 = x.size
    buckets = np.empty(d1, np.int64)
    signs = np.empty(d1)
    sketched = np.empty((2, m))
    for code in range(out.size):
        decode(code, m, buckets, signs)
        sketched[:] = 0.0
        for j in range(d1):
            sketched[0, buckets[j]] += signs[j] * x[j]
            sketched[1, buckets[j]] += signs[j] * y[j]
        total = 0.0
        for b in range(m):
            total += sketched[0, b] * sketched[1, b]
        out[code] = total


@njit(cache=True, nogil=True)
def _fill_row_sketch_errors(U, m, out):
    n, d = U.shape
    buckets = np.empty(n, np.int64)
    signs = np.empty(n)
    sketched = np.empty((m, d))
    for code in range(out.size):
        decode(code, m, buckets, signs)
        sketched[:] = 0.0
        for j in range(n):
            for k in range(d):
                sketched[buckets[j], k] += signs[j] * U[j, k]
        total = 0.0
        for k in range(d):
            for p in range(d):
                entry = -1.0 if k == p else 0.0
                for b in range(m):
                    entry += sketched[b, k] * sketched[b, p]
                total += entry * entry
        out[code] = total


@njit(cache=True, nogil=True)
def _sum_grams(columns, m, count, out):
    d1, r = columns.shape
    buckets = np.empty(d1, np.int64)
    signs = np.empty(d1)
    sketched = np.empty((r, m))
    part = np.zeros((r, r))
    for code in range(count):
        decode(code, m, buckets, signs)
        sketched[:] = 0.0
        for j in range(d1):
            for i in range(r):
                sketched[i, buckets[j]] += signs[j] * columns[j, i]
        for i in range(r):
            for k in range(r):
                for b in range(m):
                    part[i, k] += sketched[i, b] * sketched[k, b]
        if (code + 1) % SHORT_SUM == 0 or code + 1 == count:
            out += part
            part[:] = 0.0


@njit(cache=True, nogil=True)
def _sum_second_moments(S, m, count, out):
    d1 = S.shape[0]
    buckets = np.empty(d1, np.int64)
    signs = np.empty(d1)
    sketched = np.empty((m, m))
    part = np.zeros((d1, d1))
    for code in range(count):
        decode(code, m, buckets, signs)
        sketched[:] = 0.0
        for j in range(d1):
            for k in range(d1):
                sketched[buckets[j], buckets[k]] += signs[j] * signs[k] * S[j, k]
        for j in range(d1):
            for k in range(d1):
                part[j, k] += signs[j] * signs[k] * sketched[buckets[j], buckets[k]]
        if (code + 1) % SHORT_SUM == 0 or code + 1 == count:
            out += part
            part[:] = 0.0
