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
"""

import numpy as np

from ..claim import Bound, Kind, Section
from ..enumeration import all_sketches
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
    C = all_sketches(X.shape[1], int(rng.integers(1, 4)))
    mean = (X @ C @ (X @ C).transpose(0, 2, 1)).mean(axis=0)
    expected = X @ X.T
    return [(EVERY, -float(np.abs(mean - expected).max() / np.abs(expected).max()))]
