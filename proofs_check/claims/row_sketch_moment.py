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
"""

import numpy as np

from ..claim import Bound, Kind, Section
from ..enumeration import all_sketches
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
    SU = all_sketches(len(U), m).transpose(0, 2, 1) @ U
    errors = ((SU.transpose(0, 2, 1) @ SU - np.eye(d)) ** 2).sum(axis=(1, 2))
    leverage = (U**2).sum(axis=1)
    expected = (d**2 + d - 2 * (leverage**2).sum()) / m
    return [(EVERY, -abs(float(errors.mean() - expected)) / (d**2 + d))]
