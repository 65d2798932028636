"""Applying a bucket matrix ``C`` (one signed 1 in each row) from the right: ``X @ C``."""

import numpy as np
from numba import njit

LANES = 8
"""Rows of a C-ordered matrix that are sketched together, one SIMD lane each."""

ROW_BLOCK = 64
"""Rows of an F-ordered matrix that are sketched together, contiguous in memory."""


@njit(cache=True, nogil=True)
def sketch_c_order(X, buckets, signs, start, stop, out):
    """Rows ``start:stop`` of ``X @ C`` for C-ordered ``X``.

    Eight rows share one pass over the buckets: each bucket's eight partial sums lie side by
    side, so that an update is one vector operation and neighbouring updates rarely collide.
    """
    d1 = X.shape[1]
    m = out.shape[1]
    sums = np.empty((m, LANES))
    for first in range(start, stop, LANES):
        height = min(LANES, stop - first)
        sums[:] = 0.0
        if height == LANES:
            x0, x1, x2, x3 = X[first], X[first + 1], X[first + 2], X[first + 3]
            x4, x5, x6, x7 = X[first + 4], X[first + 5], X[first + 6], X[first + 7]
            for j in range(d1):
                s = signs[j]
                lane = sums[buckets[j]]
                lane[0] += s * x0[j]
                lane[1] += s * x1[j]
                lane[2] += s * x2[j]
                lane[3] += s * x3[j]
                lane[4] += s * x4[j]
                lane[5] += s * x5[j]
                lane[6] += s * x6[j]
                lane[7] += s * x7[j]
        else:
            for j in range(d1):
                for i in range(height):
                    sums[buckets[j], i] += signs[j] * X[first + i, j]
        for i in range(height):
            for b in range(m):
                out[first + i, b] = sums[b, i]


@njit(cache=True, nogil=True)
def sketch_f_order(X, buckets, signs, start, stop, out):
    """Rows ``start:stop`` of ``X @ C`` for F-ordered ``X``."""
    d1 = X.shape[1]
    m = out.shape[1]
    sums = np.empty((m, ROW_BLOCK))
    for first in range(start, stop, ROW_BLOCK):
        height = min(ROW_BLOCK, stop - first)
        sums[:] = 0.0
        for j in range(d1):
            column = X[first : first + height, j]
            lane = sums[buckets[j]]
            if signs[j] > 0:
                for i in range(height):
                    lane[i] += column[i]
            else:
                for i in range(height):
                    lane[i] -= column[i]
        for i in range(height):
            for b in range(m):
                out[first + i, b] = sums[b, i]


@njit(cache=True, nogil=True)
def sketch_compressed_rows(indptr, indices, data, buckets, signs, m, out_indices, out_data):
    """``X @ C`` of a CSR matrix, entries of one row and bucket summed.

    Writes the entries row after row into ``out_indices`` and ``out_data`` (as long as ``data``
    at least) and returns the new ``indptr``. Explicit zeros are kept.
    """
    n = indptr.size - 1
    out_indptr = np.empty(n + 1, indptr.dtype)
    out_indptr[0] = 0
    position = np.full(m, -1, np.int64)
    used = np.int64(0)
    for i in range(n):
        row_start = used
        for entry in range(indptr[i], indptr[i + 1]):
            j = indices[entry]
            b = buckets[j]
            if position[b] >= row_start:
                out_data[position[b]] += signs[j] * data[entry]
            else:
                position[b] = used
                out_indices[used] = b
                out_data[used] = signs[j] * data[entry]
                used += 1
        out_indptr[i + 1] = used
    return out_indptr


@njit(cache=True, nogil=True)
def sketch_compressed_columns(
    indptr, indices, data, buckets_order, bucket_starts, signs, n, out_indices, out_data
):
    """``X @ C`` of a CSC matrix: the columns of each bucket merged, entries of one row summed.

    ``buckets_order`` lists the columns bucket after bucket; ``bucket_starts`` (m + 1) tells
    where each bucket's columns begin in it. Returns the new ``indptr``.
    """
    m = bucket_starts.size - 1
    out_indptr = np.empty(m + 1, indptr.dtype)
    out_indptr[0] = 0
    position = np.full(n, -1, np.int64)
    used = np.int64(0)
    for b in range(m):
        column_start = used
        for c in range(bucket_starts[b], bucket_starts[b + 1]):
            j = buckets_order[c]
            for entry in range(indptr[j], indptr[j + 1]):
                i = indices[entry]
                if position[i] >= column_start:
                    out_data[position[i]] += signs[j] * data[entry]
                else:
                    position[i] = used
                    out_indices[used] = i
                    out_data[used] = signs[j] * data[entry]
                    used += 1
        out_indptr[b + 1] = used
    return out_indptr
