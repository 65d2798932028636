"""Moving IDs to the codeword of least loss, one after the other."""

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def move_ids(indptr, indices, data, weights, codebook, first, labels, residual):
    """One pass over the columns of ``X`` (CSC): each ID goes to its best codeword, in place.

    Moving ID ``j`` from codeword ``a`` to ``c`` changes the loss by ``2 <D, g_j> + w_j |D|^2``
    with ``D = M_c - M_a``, ``g_j`` row ``j`` of ``X'(XT - Y)`` and ``w_j = (X'X)_jj``. A move
    updates the residual before the next ID is looked at, so that the loss never rises. An ID
    stays where it is unless another codeword is strictly better.

    Parameters
    ----------
    indptr, indices, data : CSC arrays of ``X``
    weights : (d1,) float64
        Squared norms of the columns. IDs of weight 0 stay.
    codebook : (d2, K) float64
        Transposed, so that the loop over codewords is a vector loop.
    first : int
        Only codewords ``first..K-1`` are offered (and staying).
    labels : (d1,) int32, updated
    residual : (n, d2) float64, updated
        ``X T - Y``.

    Returns
    -------
    int
        Number of IDs moved.
    """
    d2, n_clusters = codebook.shape
    gradient = np.empty(d2)
    step = np.empty(d2)
    change = np.empty(n_clusters)
    moved = 0
    for j in range(weights.size):
        w = weights[j]
        if w == 0:
            continue
        gradient[:] = 0
        for entry in range(indptr[j], indptr[j + 1]):
            row = residual[indices[entry]]
            x = data[entry]
            for t in range(d2):
                gradient[t] += x * row[t]
        a = labels[j]
        change[first:] = 0
        for t in range(d2):
            row = codebook[t]
            here, g = row[a], 2 * gradient[t]
            for c in range(first, n_clusters):
                difference = row[c] - here
                change[c] += difference * (g + w * difference)
        best, least = a, 0.0
        for c in range(first, n_clusters):
            if change[c] < least:
                best, least = c, change[c]
        if best == a:
            continue
        moved += 1
        labels[j] = best
        for t in range(d2):
            step[t] = codebook[t, best] - codebook[t, a]
        for entry in range(indptr[j], indptr[j + 1]):
            row = residual[indices[entry]]
            x = data[entry]
            for t in range(d2):
                row[t] += x * step[t]
    return moved
