"""How far a count sketch on the rows is from an isometry, on average.

Statement
---------
U (n x d) with orthonormal columns and leverage scores l_i, S an m x n count sketch on the rows:
E||U'S'SU - I||_F^2 = (d^2 + d - 2 sum_i l_i^2) / m.

Hypotheses
----------
Buckets and signs independent and uniform.

Source
------
Clarkson and Woodruff, "Low rank approximation and regression in input sparsity time", 2013; this
form is derived here.

Proof idea
----------
Sum count-sketch-inner-product over all pairs of columns of U.

Bound
-----
Exact to rounding, 1e-13 of d^2 + d, over all sketches of 4 rows and 1 to 3 buckets.

Experiment
----------
Orthonormal columns from the transposed triangular factor of 4 random columns of the instance's X,
d = 1 or 2.

Exact evidence: 6 rows and 3 buckets; U the first two columns of the reflection I - 2vv'/v'v, which
are orthonormal exactly, v = X'Xa for a few columns and small integers a; in rational arithmetic.
"""

from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from ..claim import Bound, Kind, Section
from ..enumeration import row_sketch_errors
from ..exact.comparison import Comparison
from ..exact.effort import Effort
from ..exact.identity import Identity
from ..exact.rational import expected_entries
from ..exact.small import SmallProblem
from ..experiments import EVERY, random_factor
from ..instances import Instance

KIND = Kind.DETERMINISTIC
SECTION = Section.SKETCHES

STATEMENT = r"""
For $U$ ($n \times d$) with orthonormal columns and leverage scores $l_i$, and $S$ an $m \times n$
count sketch on the rows,
$$\mathbb{E}\, \lVert U^\top S^\top S U - I\rVert_F^2 = \frac{d^2 + d - 2\sum_i l_i^2}{m}.$$
"""

ROWS = 4


def bounds(instance: Instance) -> dict[str, Bound]:
    """Working precision."""
    return {EVERY: Bound(1e-13)}


def trial(instance: Instance, rng: np.random.Generator) -> list[tuple[str, float]]:
    """Minus the relative difference of the two sides."""
    X, d, m = random_factor(instance, ROWS, rng), int(rng.integers(1, 3)), int(rng.integers(1, 4))
    U = np.linalg.qr(X.T @ rng.standard_normal((len(X), d)))[0]
    d = U.shape[1]
    errors = row_sketch_errors(U, m)
    leverage = (U**2).sum(axis=1)
    expected = (d**2 + d - 2 * (leverage**2).sum()) / m
    return [(EVERY, -abs(float(errors.mean() - expected)) / (d**2 + d))]


DIMENSION = 2


def exact(instance: Instance, effort: Effort) -> list[Comparison]:
    """Both sides for the first columns of a rational reflection."""
    small = effort.small_problem(instance)
    n, m = small.d1, effort.width(instance, small.d1)
    W, size = rational_isometry(small, effort.rng)
    d = W.shape[1]

    def in_floating_point() -> tuple[np.ndarray, np.ndarray]:
        U = np.array([[float(Fraction(entry, size)) for entry in row] for row in W])
        leverage = (U**2).sum(axis=1)
        expected = (d**2 + d - 2 * (leverage**2).sum()) / m
        return np.array([row_sketch_errors(U, m).mean()]), np.array([expected])

    def in_rationals() -> tuple[np.ndarray, np.ndarray]:
        def squared(h: Sequence[int], s: Sequence[int]) -> list[list[int]]:
            return [[sum(entry**2 for row in error(W, size, m, h, s) for entry in row)]]

        found = expected_entries(n, m, squared)[0] * Fraction(1, size**4)
        leverage = (W * W).sum(axis=1) * Fraction(1, size**2)
        expected = (d**2 + d - 2 * (leverage * leverage).sum()) * Fraction(1, m)
        return found, np.array([expected])

    return [effort.settle([Identity(EVERY, small, m, in_floating_point, in_rationals)])]


def rational_isometry(small: SmallProblem, rng: np.random.Generator) -> tuple[np.ndarray, int]:
    """``W`` and ``s`` in integers with ``W'W = s^2 I``: columns of a reflection, times ``s``."""
    n, d = small.d1, min(DIMENSION, small.d1)
    coefficients = rng.integers(1, 10, n).astype(object)
    v = np.array(small.gram, dtype=object).dot(coefficients)  # not zero: X'X is invertible
    size = int(v.dot(v))
    return size * np.eye(n, d, dtype=int).astype(object) - 2 * np.outer(v, v[:d]), size


def error(
    W: np.ndarray, size: int, m: int, buckets: Sequence[int], signs: Sequence[int]
) -> list[list[int]]:
    """``W'S'SW - s^2 I`` in integers, for the sketch of these buckets and signs."""
    d = W.shape[1]
    sums = [[0] * d for _ in range(m)]
    for row, bucket, sign in zip(W.tolist(), buckets, signs, strict=True):
        for k in range(d):
            sums[bucket][k] += sign * row[k]
    return [
        [sum(b[k] * b[q] for b in sums) - (size**2 if k == q else 0) for q in range(d)]
        for k in range(d)
    ]
