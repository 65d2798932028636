"""The best cut of sorted numbers into runs: one-dimensional k-means by dynamic programming."""

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def run_cost(sums, start, stop):
    """Weighted squared distance of the numbers ``start:stop`` to their mean.

    ``sums`` (3, n + 1) are running sums from 0 of the weights, and of the weights times the
    numbers and their squares.
    """
    weight = sums[0, stop] - sums[0, start]
    moment = sums[1, stop] - sums[1, start]
    return max(0.0, sums[2, stop] - sums[2, start] - moment * moment / weight)


@njit(cache=True, nogil=True)
def best_cuts(sums, starts):
    """Fill ``starts[c, j]``: where the last of ``c + 1`` runs of the first ``j`` numbers begins.

    No run is empty, so entries with ``j <= c`` mean nothing and stay as they are; they are 0 when
    called. The best start never falls as ``j`` rises: so the midpoint between two numbers whose
    starts are known needs to try only what lies between these, and a row of ``starts`` is filled
    in ``O(n log n)``.
    """
    n_clusters, n = starts.shape[0], starts.shape[1] - 1
    cost, before = np.empty(n + 1), np.empty(n + 1)
    for j in range(1, n + 1):
        cost[j] = run_cost(sums, 0, j)
    for c in range(1, n_clusters):
        cost, before = before, cost
        step = 1
        while step <= n:
            step *= 2
        while step > 1:
            half = step // 2
            for j in range(half, n + 1, step):
                if j <= c:
                    continue
                last = j - 1
                if j + half <= n:
                    last = min(last, starts[c, j + half])
                cost[j] = np.inf
                for i in range(max(c, starts[c, j - half]), last + 1):
                    total = before[i] + run_cost(sums, i, j)
                    if total < cost[j]:
                        cost[j] = total
                        starts[c, j] = i
            step = half
