"""A count sketch keeps inner products on average.

Statement
---------
E[C C'] = I for a d1 x m count sketch C.

Hypotheses
----------
Buckets and signs independent and uniform.

Source
------
Classic: Charikar, Chen and Farach-Colton, "Finding frequent items in data streams", 2002.

Proof idea
----------
(C C')_ij = s_i s_j [h(i) = h(j)]: 1 on the diagonal, and of mean 0 off it.

Bound
-----
Exact to rounding, 1e-13, over all sketches of 4 rows and 1 to 3 buckets.

Experiment
----------
x'CC'y over all sketches, for x and y from the triangular factor of 4 random columns of the
instance's X.

Exact evidence: E[X CC' X'] = X X' for at most 6 columns of X and 3 buckets, in floating point; in
integers, E[CC'] = I.
"""

import numpy as np

from ..claim import Bound, Kind, Section
from ..enumeration import expected_gram
from ..exact.comparison import Comparison
from ..exact.effort import Effort
from ..exact.identity import Identity
from ..exact.rational import expected_entries
from ..experiments import EVERY, random_factor
from ..instances import Instance

KIND = Kind.DETERMINISTIC
SECTION = Section.SKETCHES

STATEMENT = r"""
$$\mathbb{E}\left[CC^\top\right] = I$$
for a $d_1 \times m$ count sketch $C$.
"""

D1 = 4


def bounds(instance: Instance) -> dict[str, Bound]:
    """Working precision."""
    return {EVERY: Bound(1e-13)}


def trial(instance: Instance, rng: np.random.Generator) -> list[tuple[str, float]]:
    """Minus the largest relative difference of the two sides."""
    X = random_factor(instance, D1, rng)
    mean = expected_gram(X, int(rng.integers(1, 4)))
    expected = X @ X.T
    return [(EVERY, -float(np.abs(mean - expected).max() / np.abs(expected).max()))]


def exact(instance: Instance, effort: Effort) -> list[Comparison]:
    """``E[R CC' R'] = R R'`` for columns of the instance, or ``E[CC'] = I`` in integers."""
    small = effort.small_problem(instance)
    m = effort.width(instance, small.d1)

    def in_floating_point() -> tuple[np.ndarray, np.ndarray]:
        R, _ = small.factors
        return expected_gram(R, m), R @ R.T

    def in_rationals() -> tuple[np.ndarray, np.ndarray]:
        rows = range(small.d1)
        found = expected_entries(
            small.d1, m, lambda h, s: [[s[i] * s[j] * (h[i] == h[j]) for j in rows] for i in rows]
        )
        return found, np.eye(small.d1, dtype=int).astype(object)

    return [effort.settle([Identity(EVERY, small, m, in_floating_point, in_rationals)])]
