"""Expectations over all count sketches of a tiny size, as finite sums."""

from __future__ import annotations

from functools import cache
from itertools import product

import numpy as np


@cache
def all_sketches(d1: int, m: int) -> np.ndarray:
    """Every ``d1 x m`` count sketch, up to a common sign, each equally likely.

    Parameters
    ----------
    d1, m : int
        Small: there are ``m^d1 2^(d1 - 1)`` sketches. The sign of the first row is +1; flipping
        all signs changes no quadratic expression.

    Returns
    -------
    ndarray of float64, shape (m^d1 2^(d1 - 1), d1, m)

    Examples
    --------
    >>> C = all_sketches(3, 2)
    >>> C.shape
    (32, 3, 2)
    >>> np.array_equal((C @ C.transpose(0, 2, 1)).mean(axis=0), np.eye(3))
    True
    """
    buckets = np.array(list(product(range(m), repeat=d1)))
    signs = np.array([(1.0, *rest) for rest in product([1.0, -1.0], repeat=d1 - 1)])
    one_hot = np.eye(m)[buckets]
    sketches = signs[None, :, :, None] * one_hot[:, None]
    return sketches.reshape(-1, d1, m)
