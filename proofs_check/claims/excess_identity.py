"""The loss of a table is the optimal loss plus the squared distance of its predictions.

Statement
---------
For every table T: L(T) = L* + ||X(T - T*)||_F^2.

Hypotheses
----------
None.

Source
------
Classic (Pythagoras); Tsang and Ahle, section 3.

Proof idea
----------
X T* - Y is orthogonal to the range of X, which X(T - T*) lies in.

Bound
-----
The two sides, evaluated independently (the left on the n rows, the right in the coordinates of
the reduction), may differ by 1e-11 of L(T), and by the error of a squared residual that is known to
1e-13 of ||X|| ||T|| + ||Y||.

Experiment
----------
Random tables around the optimum, at distances from 1e-6 to 10 times its norm.
"""

import numpy as np

from ..claim import Bound, Kind, Section
from ..experiments import EVERY, relative_slack
from ..instances import Instance

KIND = Kind.DETERMINISTIC
SECTION = Section.QUANTISATION

TOLERANCE = 1e-11

STATEMENT = r"""
For every table $T$,
$$L(T) = L^* + \lVert X(T - T^*)\rVert_F^2.$$
"""


def bounds(instance: Instance) -> dict[str, Bound]:
    """Working precision."""
    return {EVERY: Bound(TOLERANCE)}


def trial(instance: Instance, rng: np.random.Generator) -> list[tuple[str, float]]:
    """Minus the relative difference of the two sides."""
    problem = instance.problem
    direction = rng.standard_normal(problem.optimum.shape)
    scale = np.linalg.norm(problem.optimum) or 1.0
    distance = scale * 10 ** rng.uniform(-6, 1)
    T = problem.optimum + distance / np.linalg.norm(direction) * direction
    left, right = problem.loss(T), problem.optimal_loss + problem.excess(T)
    size = np.sqrt(problem.squared_frobenius_norm) * np.linalg.norm(T) + np.linalg.norm(problem.Y)
    slack = relative_slack(left + abs(left - right), left, float(size), TOLERANCE)
    return [(EVERY, float(slack))]
