"""Parabolas of the loss of IDs in one chunk of columns, with a Gaussian prior: many at a time.

A parabola in ``c`` (width,), ``c'Hc / 2 + g'c``, is one row of features, as
`reassignment.expand_ids` gives them: the entries of ``H`` below and on the diagonal, those on it
halved, then ``g``. The prior of precision ``P`` and mean ``m`` adds ``(c - m)'P(c - m) / 2``; it
is given as ``P`` and ``shift = P m``. A lane of vector code works on each parabola, in numbers of
the type of ``shift``.
"""

import numpy as np
from numba import njit

from .argmin import POINT_BLOCK

ROUNDING = 2.0**-22
"""Of entries of ``H``, which are sums in float32, relative to the largest of its diagonal."""


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _factor(block, precision, shift, smallest, factors, scaled, inverse):
    """``H + P = L D L'``, and the right-hand side ``shift - g`` divided by ``L``, then by ``D``.

    ``H`` is positive semidefinite but for rounding, so where the least eigenvalue of ``P`` is less
    than ``width`` times `ROUNDING` times the largest entry of the diagonal of ``H``, what is
    missing is added: parabolas that are flat but for rounding have a least point near that of
    the prior. No pivot in ``D`` can be less than the larger of the two, either.

    Parameters
    ----------
    block : (features, `POINT_BLOCK`)
        Features beyond those of the width are not looked at.
    precision : (width, width), shift : (width,)
    smallest : float
        The least eigenvalue of ``P``.
    factors : (width (width + 3) / 2, `POINT_BLOCK`)
        Overwritten: ``L`` with ``D`` on its diagonal, then the right-hand side.
    scaled, inverse : (width, `POINT_BLOCK`)
        Overwritten; the second with 1 over ``D``.
    """
    width = shift.size
    slope = width * (width + 1) // 2
    a = factors
    one, two = shift.dtype.type(1), shift.dtype.type(2)
    share = shift.dtype.type(2 * width * ROUNDING)
    least, ridge = np.full(POINT_BLOCK, smallest), np.empty(POINT_BLOCK, shift.dtype)
    for j in range(width):
        diagonal = j * (j + 3) // 2
        for i in range(POINT_BLOCK):  # the features hold half of the diagonal
            bound = share * block[diagonal, i]
            least[i] = bound if bound > least[i] else least[i]
    for i in range(POINT_BLOCK):
        ridge[i] = least[i] - smallest
    for j in range(width):
        row = j * (j + 1) // 2
        for k in range(j):
            for i in range(POINT_BLOCK):
                a[row + k, i] = block[row + k, i] + precision[j, k]
        for i in range(POINT_BLOCK):
            a[row + j, i] = two * block[row + j, i] + precision[j, j] + ridge[i]
            a[slope + j, i] = shift[j] - block[slope + j, i]
    for j in range(width):
        row = j * (j + 1) // 2
        for k in range(j):
            for i in range(POINT_BLOCK):
                entry = a[row + k, i]
                scaled[k, i] = entry * a[k * (k + 3) // 2, i]
                a[row + j, i] -= entry * scaled[k, i]
        for i in range(POINT_BLOCK):
            pivot = a[row + j, i]
            pivot = least[i] if pivot < least[i] else pivot
            a[row + j, i] = pivot
            inverse[j, i] = one / pivot
        for below in range(j + 1, width + 1):  # the right-hand side is the row after the last
            other = below * (below + 1) // 2
            for k in range(j):
                for i in range(POINT_BLOCK):
                    a[other + j, i] -= a[other + k, i] * scaled[k, i]
            for i in range(POINT_BLOCK):
                a[other + j, i] *= inverse[j, i]


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _substitute(factors, width):
    """The right-hand side becomes the solution."""
    slope = width * (width + 1) // 2
    for j in range(width - 1, -1, -1):
        for below in range(j + 1, width):
            other = below * (below + 1) // 2
            for i in range(POINT_BLOCK):
                factors[slope + j, i] -= factors[other + j, i] * factors[slope + below, i]


@njit(cache=True, nogil=True)
def scratch_of_blocks(width, kind):
    """Room for `_factor`."""
    return (
        np.empty((width * (width + 3) // 2, POINT_BLOCK), kind),
        np.empty((width, POINT_BLOCK), kind),
        np.empty((width, POINT_BLOCK), kind),
    )


@njit(cache=True, nogil=True)
def least_points(blocks, precision, shift, smallest, points):
    """Where parabolas and prior are least: posterior means, ``(H + P)^-1 (shift - g)``.

    Parameters
    ----------
    blocks : (blocks, features, `POINT_BLOCK`)
        See `argmin.in_blocks`. Of floats; features beyond those of the width are not looked at.
    precision : (width, width), shift : (width,), smallest : float
        The first positive definite, the last its least eigenvalue.
    points : (n, width)
        Of floats, overwritten.
    """
    n, width = points.shape
    slope = width * (width + 1) // 2
    factors, scaled, inverse = scratch_of_blocks(width, shift.dtype)
    for b in range(blocks.shape[0]):
        _factor(blocks[b], precision, shift, smallest, factors, scaled, inverse)
        _substitute(factors, width)
        first = b * POINT_BLOCK
        for i in range(min(POINT_BLOCK, n - first)):
            for j in range(width):
                points[first + i, j] = factors[slope + j, i]


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def posteriors(blocks, precision, shift, smallest, weights, means, covariances):
    """Posterior means, and two sums of the posterior covariances ``(H + P)^-1``.

    Parameters
    ----------
    blocks, precision, shift, smallest
        As for `least_points`.
    weights : (n,)
        Of the parabolas in the second sum.
    means : (n, width)
        Of floats, overwritten.
    covariances : (2, width, width)
        Overwritten: the sum over all, and the weighted one.
    """
    n, width = means.shape
    slope = width * (width + 1) // 2
    factors, scaled, inverse = scratch_of_blocks(width, shift.dtype)
    triangle, weight = np.empty((slope, POINT_BLOCK)), np.empty((2, POINT_BLOCK))
    sums, entry = np.zeros((2, slope, POINT_BLOCK)), np.empty(POINT_BLOCK)
    for b in range(blocks.shape[0]):
        first = b * POINT_BLOCK
        for i in range(POINT_BLOCK):
            there = first + i < n
            weight[0, i] = 1.0 if there else 0.0
            weight[1, i] = weights[first + i] if there else 0.0
        _factor(blocks[b], precision, shift, smallest, factors, scaled, inverse)
        for j in range(width):  # the inverse of the unit triangle, row by row
            row = j * (j + 1) // 2
            triangle[row + j] = 1.0
            for k in range(j):
                entry[:] = 0.0
                for t in range(k, j):
                    for i in range(POINT_BLOCK):
                        entry[i] -= factors[row + t, i] * triangle[t * (t + 1) // 2 + k, i]
                triangle[row + k] = entry
        for j in range(width):
            for k in range(j + 1):
                entry[:] = 0.0
                for t in range(j, width):
                    row = t * (t + 1) // 2
                    for i in range(POINT_BLOCK):
                        entry[i] += triangle[row + j, i] * triangle[row + k, i] * inverse[t, i]
                place = j * (j + 1) // 2 + k
                for s in range(2):
                    for i in range(POINT_BLOCK):
                        sums[s, place, i] += weight[s, i] * entry[i]
        _substitute(factors, width)
        for i in range(min(POINT_BLOCK, n - first)):
            for j in range(width):
                means[first + i, j] = factors[slope + j, i]
    for s in range(2):
        for j in range(width):
            for k in range(j + 1):
                covariances[s, j, k] = covariances[s, k, j] = sums[s, j * (j + 1) // 2 + k].sum()


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def add_pulls(block, precision, shift, smallest, scratch, pulls):
    """Add to each parabola the tangent of the prior at the posterior mean, ``u``.

    With it the parabola is least at ``u``, of which it says as much as before: the curvature
    of the prior is not added. Its slope there is ``P (u - m)``.

    Parameters
    ----------
    block : (features, `POINT_BLOCK`)
        Changed in place.
    precision, shift, smallest
        As for `_factor`.
    scratch : tuple
        From `scratch_of_blocks`.
    pulls : (width, `POINT_BLOCK`)
        Of float32, overwritten: the slopes.
    """
    width = shift.size
    slope = width * (width + 1) // 2
    factors = scratch[0]
    _factor(block, precision, shift, smallest, factors, scratch[1], scratch[2])
    _substitute(factors, width)
    for a in range(width):
        for i in range(POINT_BLOCK):
            pulls[a, i] = -shift[a]
        for b in range(width):
            for i in range(POINT_BLOCK):
                pulls[a, i] += precision[a, b] * factors[slope + b, i]
        for i in range(POINT_BLOCK):
            block[slope + a, i] += pulls[a, i]
