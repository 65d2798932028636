"""Moving IDs to codewords near their posterior means, where a Gaussian prior shrinks these."""

import numpy as np
from numba import njit

from .argmin import first_least
from .parabolas import add_pulls
from .reassignment import begin_moves, expand_ids, make_moves


@njit(cache=True, nogil=True)
def add_uncertainty(features, curvatures, uncertainty):
    """Add to each parabola what the other field's uncertainty costs.

    The other vectors of an ID's rows have a covariance ``V`` each, in the mean: a row of curvature
    ``h`` then has the expected loss ``h c'Vc / 2`` more.

    Parameters
    ----------
    features : (n, features), curvatures : (n,)
        From `reassignment.expand_ids`; the former changed in place.
    uncertainty : (features,)
        ``V`` in the form of a parabola.
    """
    for s in range(features.shape[0]):
        for f in range(features.shape[1]):
            features[s, f] += curvatures[s] * uncertainty[f]


@njit(cache=True, nogil=True)
def costs_of_uncertainty(expanded, uncertainty):
    """``c'Vc / 2`` for each codeword; ``expanded`` (K, features) from `expand_codewords`."""
    out = np.zeros(expanded.shape[0])
    for k in range(expanded.shape[0]):
        for f in range(expanded.shape[1]):
            out[k] += np.float64(expanded[k, f]) * np.float64(uncertainty[f])
    return out


@njit(cache=True, nogil=True)
def move_to_posteriors(
    slopes, scores, labels, bounds, weights, loss, curvature, damping, chunks, codebook, expanded,
    precisions, shifts, uncertainties, margin, assigned, scratch, of_ids,
):  # fmt: skip
    """Move each ID, chunk by chunk, to the codeword nearest its posterior mean.

    Nearest by the curvature of its loss. A move must lower the loss itself and the prior's tangent
    at the posterior mean, by more than ``margin``.

    Parameters
    ----------
    precisions : (chunks, width, width), shifts : (chunks, width)
        Of the priors, in units of the loss; see `parabolas.least_points`.
    uncertainties : (chunks, features)
        Of the other field's vectors; see `add_uncertainty`.

    The other parameters are those of `reassignment.move_by_parabolas`.

    Returns
    -------
    int
        Assignments that have changed.
    """
    seen = np.flatnonzero(bounds[1:] > bounds[:-1])
    n, width = seen.size, codebook.shape[2]
    of_seen, curvatures = of_ids[:n], np.empty(n, np.float32)
    pulls = np.empty((n, width), np.float32)
    sums = np.empty(weights.size)
    begin_moves(loss, curvature, scores, labels, bounds, scratch, sums)
    wanted, movers, charges = np.empty(n, np.int64), np.empty(n, np.int64), np.empty(n)
    offsets = np.zeros(codebook.shape[1], np.float32)
    moved = 0
    for chunk in chunks:
        codewords, own = codebook[chunk], assigned[:, chunk]
        expand_ids(
            slopes, scratch[1], scratch[2], bounds, weights, damping, chunk, codewords, own, seen,
            of_seen, curvatures,
        )  # fmt: skip
        add_uncertainty(of_seen, curvatures, uncertainties[chunk])
        add_pulls(of_seen, precisions[chunk], shifts[chunk], pulls)
        first_least(of_seen, np.float32(1), expanded[chunk], offsets, 0, n, wanted)
        costs = costs_of_uncertainty(expanded[chunk], uncertainties[chunk])
        count = 0
        for s in range(n):
            old, best = np.int64(own[seen[s]]), wanted[s]
            if best != old:
                movers[count], wanted[count] = seen[s], best
                charges[count] = curvatures[s] * (costs[best] - costs[old])
                for t in range(width):
                    charges[count] += pulls[s, t] * (codewords[best, t] - codewords[old, t])
                count += 1
        moved += make_moves(
            slopes, scores, labels, bounds, weights, loss, curvature, chunk, codewords,
            movers[:count], wanted, charges, margin, own, scratch, sums,
        )  # fmt: skip
    return moved
