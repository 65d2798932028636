"""Tables whose vectors are not sums of slices: learned weights, products, networks.

Each pair of functions reads the vectors of a batch and adds the gradient by the parameters. Rows
of a batch are taken in order, so that sums have one order.
"""

import numpy as np
from numba import njit

from .embedding import HALF, hash_bits


@njit(cache=True, nogil=True)
def hash_many(ids, functions, rows, buckets):
    """``buckets[i, h]``: ID ``i`` under function ``h``, as `embedding.locate` hashes."""
    for i in range(ids.size):
        key = np.uint64(ids[i])
        for h in range(functions.shape[0]):
            bits = hash_bits(functions[h, 0], functions[h, 1], key)
            buckets[i, h] = np.int64((bits * np.uint64(rows)) >> HALF)


@njit(cache=True, nogil=True)
def hash_features(ids, functions, scale, features):
    """``features[i, h]``: hash of ID ``i``, spread over ``[-scale, scale)``."""
    step = scale * 2.0**-31
    for i in range(ids.size):
        key = np.uint64(ids[i])
        for h in range(functions.shape[0]):
            bits = hash_bits(functions[h, 0], functions[h, 1], key)
            features[i, h] = np.float32(step * (np.float64(bits) - 2.0**31))


@njit(cache=True, nogil=True)
def add_rows(target, rows, source):
    """``target[rows[i]] += source[i]``, in order."""
    for i in range(rows.size):
        into = target[rows[i]]
        for c in range(source.shape[1]):
            into[c] += source[i, c]


@njit(cache=True, nogil=True)
def weighted_sum(codebook, buckets, weights, weight_rows, out):
    """``out[i] = sum_h weights[weight_rows[i], h] codebook[buckets[i, h]]``."""
    for i in range(out.shape[0]):
        for h in range(buckets.shape[1]):
            weight = weights[weight_rows[i], h]
            row = codebook[buckets[i, h]]
            for c in range(out.shape[1]):
                out[i, c] += weight * row[c]


@njit(cache=True, nogil=True)
def weighted_sum_gradient(
    codebook, buckets, weights, weight_rows, gradients, by_codebook, by_weights
):
    """Add the gradients of `weighted_sum` by codebook and weights."""
    for i in range(gradients.shape[0]):
        for h in range(buckets.shape[1]):
            weight = weights[weight_rows[i], h]
            row, into = codebook[buckets[i, h]], by_codebook[buckets[i, h]]
            product = np.float32(0)
            for c in range(gradients.shape[1]):
                product += gradients[i, c] * row[c]
                into[c] += weight * gradients[i, c]
            by_weights[weight_rows[i], h] += product


@njit(cache=True, nogil=True, fastmath={"reassoc", "contract"})
def _left_product(first, second, left):
    """``left = first @ second``: (d1, r) times (r, d2 r)."""
    left[:] = np.float32(0)
    for a in range(first.shape[0]):
        into = left[a]
        for s in range(first.shape[1]):
            factor, row = first[a, s], second[s]
            for q in range(into.size):
                into[q] += factor * row[q]


@njit(cache=True, nogil=True, fastmath={"reassoc", "contract"})
def train_vectors(ids, first, second, third, out):
    """Tensor-train vectors; cores (n1, d1, r), (n2, r, d2 r) and (n3, d3, r).

    The ID's digits, in mixed radix with the last changing fastest, choose the slices.
    """
    n1, n2, n3 = first.shape[0], second.shape[0], third.shape[0]
    d3, r = third.shape[1], third.shape[2]
    left = np.empty((first.shape[1], second.shape[2]), np.float32)
    for i in range(ids.size):
        j = np.int64(ids[i])
        G3 = third[j % n3]
        _left_product(first[(j // (n3 * n2)) % n1], second[(j // n3) % n2], left)
        pairs = left.reshape((-1, r))
        for p in range(pairs.shape[0]):
            for c in range(d3):
                x, y = pairs[p], G3[c]
                total = np.float32(0)
                for t in range(r):
                    total += x[t] * y[t]
                out[i, p * d3 + c] = total


@njit(cache=True, nogil=True, fastmath={"reassoc", "contract"})
def train_gradients(ids, first, second, third, gradients, by_first, by_second, by_third):
    """Add the gradients of `train_vectors` by the three cores."""
    n1, n2, n3 = first.shape[0], second.shape[0], third.shape[0]
    d1, d3, r = first.shape[1], third.shape[1], third.shape[2]
    left = np.empty((d1, second.shape[2]), np.float32)
    by_left = np.empty_like(left)
    pairs, by_pairs = left.reshape((-1, r)), by_left.reshape((-1, r))
    for i in range(ids.size):
        j = np.int64(ids[i])
        i1, i2, i3 = (j // (n3 * n2)) % n1, (j // n3) % n2, j % n3
        G1, G2, G3 = first[i1], second[i2], third[i3]
        g1, g2, g3 = by_first[i1], by_second[i2], by_third[i3]
        _left_product(G1, G2, left)
        by_left[:] = np.float32(0)
        for p in range(pairs.shape[0]):
            x, into = pairs[p], by_pairs[p]
            for c in range(d3):
                D, y, gy = gradients[i, p * d3 + c], G3[c], g3[c]
                for t in range(r):
                    into[t] += D * y[t]
                    gy[t] += D * x[t]
        for a in range(d1):
            x = by_left[a]
            for s in range(r):
                factor, y, gy = G1[a, s], G2[s], g2[s]
                total = np.float32(0)
                for q in range(x.size):
                    total += y[q] * x[q]
                    gy[q] += factor * x[q]
                g1[a, s] += total
