"""Mean and variance of a sketched inner product.

Statement
---------
E<C'x, C'y> = <x, y>, Var<C'x, C'y> = (|x|^2 |y|^2 + <x, y>^2 - 2 sum_i x_i^2 y_i^2) / m.

Hypotheses
----------
Buckets and signs independent and uniform.

Source
------
Classic: Charikar, Chen and Farach-Colton 2002; Thorup and Zhang, "Tabulation based 5-universal
hashing", 2012.

Proof idea
----------
<C'x, C'y> - <x, y> = sum_{i != j} s_i s_j [h_i = h_j] x_i y_j; square and keep what pairs off.

Bound
-----
Exact to rounding, 1e-13 of |x|^2 |y|^2, over all sketches of 4 rows and 1 to 3 buckets.

Experiment
----------
Two random combinations of the rows of the triangular factor of 4 random columns of the instance's
X.
"""

import numpy as np

from ..claim import Bound, Kind, Section
from ..enumeration import all_sketches
from ..experiments import random_factor
from ..instances import Instance

KIND = Kind.DETERMINISTIC
SECTION = Section.SKETCHES

STATEMENT = r"""
$$\mathbb{E}\,\langle C^\top x,\, C^\top y\rangle = \langle x, y\rangle,$$
$$\operatorname{Var}\,\langle C^\top x,\, C^\top y\rangle =
\frac{\lvert x\rvert^2 \lvert y\rvert^2 + \langle x, y\rangle^2 - 2\sum_i x_i^2 y_i^2}{m}.$$
"""

D1 = 4
MEAN, VARIANCE = "mean", "variance"


def bounds(instance: Instance) -> dict[str, Bound]:
    """Working precision."""
    return {MEAN: Bound(1e-13), VARIANCE: Bound(1e-13)}


def trial(instance: Instance, rng: np.random.Generator) -> list[tuple[str, float]]:
    """Minus the relative difference of the two sides."""
    X = random_factor(instance, D1, rng)
    x, y = rng.standard_normal((2, len(X))) @ X
    m = int(rng.integers(1, 4))
    C = all_sketches(x.size, m)
    values = ((x @ C) * (y @ C)).sum(axis=1)
    size = float(x @ x * (y @ y))
    if size == 0:
        return []
    variance = (size + (x @ y) ** 2 - 2 * (x**2 @ y**2)) / m
    return [
        (MEAN, -abs(float(values.mean() - x @ y)) / np.sqrt(size)),
        (VARIANCE, -abs(float(values.var() - variance)) / size),
    ]
