"""Moving IDs to codewords near their posterior means, where a Gaussian prior shrinks these."""

import numpy as np
from numba import njit

from .argmin import POINT_BLOCK, least_of_block
from .codeword_pairs import ROWS_A_BLOCK, expand_block, read_pairs
from .parabolas import add_pulls, scratch_of_blocks
from .reassignment import begin_moves, expand_ids, make_moves


@njit(cache=True, nogil=True)
def nearest_to_posteriors(
    features, curvatures, codewords, expanded, precision, shift, smallest, uncertainty, costs,
    chosen, assigned, movers, wanted, charges,
):  # fmt: skip
    """In one chunk, the codewords nearest IDs' posterior means, by the curvature of their loss.

    The other vectors of an ID's rows have a covariance ``V`` each, in the mean: a row of curvature
    ``h`` has the expected loss ``h c'Vc / 2`` more.

    Parameters
    ----------
    features : (n, features), curvatures : (n,)
        Of the ``chosen`` IDs, from `reassignment.expand_ids`.
    codewords : (K, width), expanded : (K, features)
    precision : (width, width), shift : (width,), smallest : float
        Of the prior, in units of the loss; see `parabolas.least_points`.
    uncertainty : (features,), costs : (K,)
        ``V`` in the form of a parabola, and ``c'Vc / 2`` of each codeword.
    chosen : (n,), assigned : (IDs,)
    movers, wanted, charges : (n,)
        Overwritten: IDs whose nearest codeword is another, that codeword, and what its change
        adds to that of the loss: by the uncertainty, and by the prior's tangent at the posterior
        mean.

    Returns
    -------
    int
        How many they are.
    """
    n, width = chosen.size, codewords.shape[1]
    offsets = np.zeros(codewords.shape[0], np.float32)
    scratch = scratch_of_blocks(width, shift.dtype)
    block = np.zeros((features.shape[1], POINT_BLOCK), np.float32)
    pulls, nearest = np.empty((width, POINT_BLOCK), np.float32), np.empty(POINT_BLOCK, np.int32)
    count = 0
    for first in range(0, n, POINT_BLOCK):
        size = min(POINT_BLOCK, n - first)
        for i in range(size):
            for f in range(block.shape[0]):
                block[f, i] = features[first + i, f] + curvatures[first + i] * uncertainty[f]
        add_pulls(block, precision, shift, smallest, scratch, pulls)
        least_of_block(block, expanded, offsets, nearest)
        for i in range(size):
            old, best = np.int64(assigned[chosen[first + i]]), np.int64(nearest[i])
            if best != old:
                movers[count], wanted[count] = chosen[first + i], best
                charges[count] = curvatures[first + i] * (costs[best] - costs[old])
                for t in range(width):
                    charges[count] += pulls[t, i] * (codewords[best, t] - codewords[old, t])
                count += 1
    return count


@njit(cache=True, nogil=True)
def move_to_posteriors(
    slopes, scores, labels, bounds, weights, loss, curvature, damping, chunks, codebook, expanded,
    precisions, shifts, smallest, uncertainties, costs, margin, assigned, scratch, of_ids,
):  # fmt: skip
    """Move each ID, chunk by chunk, to the codeword nearest its posterior mean.

    Nearest by the curvature of its loss. A move must lower the loss itself and the prior's tangent
    at the posterior mean, by more than ``margin``.

    Parameters
    ----------
    precisions : (chunks, width, width), shifts : (chunks, width), smallest : (chunks,)
        Of the priors, in units of the loss; see `parabolas.least_points`.
    uncertainties : (chunks, features), costs : (chunks, K)
        Of the other field's vectors; see `nearest_to_posteriors`.

    The other parameters are those of `reassignment.move_by_parabolas`.

    Returns
    -------
    int
        Assignments that have changed.
    """
    seen = np.flatnonzero(bounds[1:] > bounds[:-1])
    n = seen.size
    of_seen, curvatures = of_ids[:n], np.empty(n, np.float32)
    sums = np.empty(weights.size)
    begin_moves(loss, curvature, scores, labels, bounds, scratch, sums)
    movers, wanted, charges = np.empty(n, np.int64), np.empty(n, np.int64), np.empty(n)
    moved = 0
    for chunk in chunks:
        codewords, own = codebook[chunk], assigned[:, chunk]
        expand_ids(
            slopes, scratch[1], scratch[2], bounds, weights, damping, chunk, codewords, own, seen,
            of_seen, curvatures,
        )  # fmt: skip
        count = nearest_to_posteriors(
            of_seen, curvatures, codewords, expanded[chunk], precisions[chunk], shifts[chunk],
            smallest[chunk], uncertainties[chunk], costs[chunk], seen, own, movers, wanted, charges,
        )  # fmt: skip
        moved += make_moves(
            slopes, scores, labels, bounds, weights, loss, curvature, chunk, codewords,
            movers[:count], wanted, charges, margin, own, scratch, sums,
        )  # fmt: skip
    return moved


@njit(cache=True, nogil=True)
def move_pairs_to_posteriors(
    order, starts, first, stop, most, weight, ids, labels, own_biases, other_biases, field, loss,
    curvature, damping, chunks, codebook, other_codebook, expanded, precisions, shifts, smallest,
    uncertainties, costs, margin, assigned, others, codes, offsets, scratch, slopes, of_ids,
):  # fmt: skip
    """`move_to_posteriors` where both vectors of a pair are made of codewords.

    Parameters
    ----------
    expanded, precisions, shifts, smallest, uncertainties, costs
        As for `move_to_posteriors`.
    offsets : (1, room), slopes : (room, width), of_ids : (IDs, features)
        Overwritten, the first of int64. Room for the rows of a block, and for its IDs,
        `codeword_pairs.ROWS_A_BLOCK` or all.

    The other parameters are those of `codeword_pairs.move_pairs`.

    Returns
    -------
    int
        Assignments that have changed.
    """
    seen, bounds = np.empty(ROWS_A_BLOCK, np.int64), np.empty(ROWS_A_BLOCK + 1, np.int64)
    movers, wanted = np.empty(ROWS_A_BLOCK, np.int64), np.empty(ROWS_A_BLOCK, np.int64)
    present, numbers = np.empty(ROWS_A_BLOCK, np.int64), np.arange(ROWS_A_BLOCK)
    weights, sums, charges = (
        np.empty(ROWS_A_BLOCK), np.empty(ROWS_A_BLOCK), np.empty(ROWS_A_BLOCK),
    )  # fmt: skip
    curvatures = np.empty(ROWS_A_BLOCK, np.float32)
    moved = 0
    while first < stop:
        first, count = read_pairs(
            order, starts, first, stop, most, weight, ids, labels, own_biases, other_biases, field,
            codebook, other_codebook, assigned, others, seen, bounds, weights, codes, scratch[0],
            scratch[1],
        )  # fmt: skip
        begin_moves(
            loss, curvature, scratch[0, : bounds[count]], scratch[1], bounds, scratch[2:],
            sums[:count],
        )  # fmt: skip
        for chunk in chunks:
            expand_block(
                chunk, codebook, other_codebook, codes, offsets, damping, assigned, seen[:count],
                bounds, weights, scratch, slopes, present, of_ids, curvatures,
            )  # fmt: skip
            m = nearest_to_posteriors(
                of_ids[:count], curvatures, codebook[chunk], expanded[chunk], precisions[chunk],
                shifts[chunk], smallest[chunk], uncertainties[chunk], costs[chunk],
                numbers[:count], present, movers, wanted, charges,
            )  # fmt: skip
            moved += make_moves(
                slopes, scratch[0], scratch[1], bounds, weights, loss, curvature, 0,
                codebook[chunk], movers[:m], wanted, charges, margin, present, scratch[2:], sums,
            )  # fmt: skip
            for r in range(m):
                assigned[seen[movers[r]], chunk] = present[movers[r]]
    return moved
