"""Codewords for parabolas of the loss: what they cost, and the least points of their clusters."""

import numpy as np
from numba import njit

from .argmin import in_blocks
from .clusters import sums_of_clusters
from .parabolas import least_points


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
    least_points(in_blocks(sums), precision * np.eye(width), np.zeros(width), precision, points)
    for k in range(n_codewords):
        if counts[k] > 0:
            codewords[k] = points[k]
    return counts
