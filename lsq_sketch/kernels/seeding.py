"""Codewords for parabolas of the loss: least points of many at a time, and of sums of them.

A parabola in ``c`` (width,), ``c'Hc / 2 + g'c``, is one row of features, as
`reassignment.expand_ids` gives them: the entries of ``H`` below and on the diagonal, those on it
halved, then ``g``.
"""

import numpy as np
from numba import njit

from .argmin import POINT_BLOCK, in_blocks
from .clusters import sums_of_clusters

ROUNDING = 2.0**-22
"""Of entries of ``H``, which are sums in float32, relative to the largest of its diagonal."""


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def least_points(blocks, width, precision, points):
    """Where parabolas plus ``precision |c|^2 / 2`` are least: ``-(H + precision I)^-1 g``.

    By ``L D L'`` in float64, a lane of vector code for each parabola. ``H`` is positive
    semidefinite but for rounding, so where ``precision`` is less than ``width`` times `ROUNDING`
    times the largest entry of the diagonal of ``H``, that takes its place: parabolas that are flat
    but for rounding have a least point near 0. No pivot in ``D`` can be less, either.

    Parameters
    ----------
    blocks : (blocks, features, `POINT_BLOCK`)
        See `argmin.in_blocks`. Of floats; features beyond those of the width are not looked at.
    width : int
    precision : float
        Positive.
    points : (n, width)
        Of float32, overwritten.
    """
    n = points.shape[0]
    slope = width * (width + 1) // 2
    ridge = np.empty(POINT_BLOCK)
    a = np.empty((slope + width, POINT_BLOCK))
    scaled, inverse = np.empty((width, POINT_BLOCK)), np.empty((width, POINT_BLOCK))
    for b in range(blocks.shape[0]):
        for f in range(slope + width):
            for i in range(POINT_BLOCK):
                a[f, i] = blocks[b, f, i]
        ridge[:] = precision
        for j in range(width):  # the features hold half of the diagonal
            diagonal = j * (j + 3) // 2
            for i in range(POINT_BLOCK):
                a[diagonal, i] *= 2.0
                least = width * ROUNDING * a[diagonal, i]
                ridge[i] = least if least > ridge[i] else ridge[i]
        for j in range(width):
            row = j * (j + 1) // 2
            for i in range(POINT_BLOCK):
                a[row + j, i] += ridge[i]
            for k in range(j):
                for i in range(POINT_BLOCK):
                    entry = a[row + k, i]
                    scaled[k, i] = entry * a[k * (k + 3) // 2, i]
                    a[row + j, i] -= entry * scaled[k, i]
            for i in range(POINT_BLOCK):
                pivot = a[row + j, i]
                pivot = ridge[i] if pivot < ridge[i] else pivot
                a[row + j, i] = pivot
                inverse[j, i] = 1.0 / pivot
            for below in range(j + 1, width + 1):  # the slope is the row after the last
                other = below * (below + 1) // 2
                for k in range(j):
                    for i in range(POINT_BLOCK):
                        a[other + j, i] -= a[other + k, i] * scaled[k, i]
                for i in range(POINT_BLOCK):
                    a[other + j, i] *= inverse[j, i]
        for j in range(width - 1, -1, -1):
            for below in range(j + 1, width):
                other = below * (below + 1) // 2
                for i in range(POINT_BLOCK):
                    a[slope + j, i] -= a[other + j, i] * a[slope + below, i]
        first = b * POINT_BLOCK
        for i in range(min(POINT_BLOCK, n - first)):
            for j in range(width):
                points[first + i, j] = np.float32(-a[slope + j, i])


@njit(cache=True, nogil=True, error_model="numpy")
def penalties_of(codewords, counts, precision, prior):
    """What each codeword adds to the loss of an ID: for its length, and for being rare.

    ``counts`` (K,) are the IDs that have each.
    """
    n_codewords, width = codewords.shape
    out = np.empty(n_codewords)
    everyone = counts.sum() + n_codewords
    for k in range(n_codewords):
        length = 0.0
        for t in range(width):
            length += np.float64(codewords[k, t]) ** 2
        out[k] = precision / 2 * length - prior * np.log((counts[k] + 1) / everyone)
    return out


@njit(cache=True, nogil=True)
def recentre(features, labels, precision, codewords):
    """Codewords become the least points of the sums of the parabolas that have them.

    A codeword that none has stays. Returns how many have each.
    """
    n_codewords, width = codewords.shape
    sums, counts = sums_of_clusters(features, labels, n_codewords)
    points = np.empty_like(codewords)
    least_points(in_blocks(sums), width, precision, points)
    for k in range(n_codewords):
        if counts[k] > 0:
            codewords[k] = points[k]
    return counts
