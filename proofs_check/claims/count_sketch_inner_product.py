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

Exact evidence: at most 6 columns and 3 buckets, combinations with integer coefficients; in rational
arithmetic.
"""

from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from ..claim import Bound, Kind, Section
from ..enumeration import inner_products
from ..exact.comparison import Comparison
from ..exact.effort import Effort
from ..exact.identity import Identity
from ..exact.rational import expected_entries
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
    values = inner_products(x, y, m)
    size = float(x @ x * (y @ y))
    if size == 0:
        return []
    variance = (size + (x @ y) ** 2 - 2 * (x**2 @ y**2)) / m
    return [
        (MEAN, -abs(float(values.mean() - x @ y)) / np.sqrt(size)),
        (VARIANCE, -abs(float(values.var() - variance)) / size),
    ]


def exact(instance: Instance, effort: Effort) -> list[Comparison]:
    """Both moments for ``x = X'X a`` and ``y = X'X b``, ``a`` and ``b`` small integers."""
    small = effort.small_problem(instance)
    m = effort.width(instance, small.d1)
    coefficients = effort.rng.integers(-9, 10, (small.d1, 2))

    def sides_in_floating_point() -> tuple[np.ndarray, np.ndarray]:
        R, _ = small.factors
        x, y = (R.T @ (R @ coefficients)).T
        values = inner_products(x, y, m)
        return np.array([values.mean(), values.var()]), moments(x, y, 1 / m)

    def sides_in_rationals() -> tuple[np.ndarray, np.ndarray]:
        x, y = np.array(small.gram, dtype=object).dot(coefficients.astype(object)).T

        def powers(h: Sequence[int], s: Sequence[int]) -> list[list[int]]:
            sums = [[0, 0] for _ in range(m)]
            for i, bucket in enumerate(h):
                sums[bucket][0] += s[i] * x[i]
                sums[bucket][1] += s[i] * y[i]
            value = sum(a * b for a, b in sums)
            return [[value, value * value]]

        mean, square = expected_entries(small.d1, m, powers)[0]
        return np.array([mean, square - mean * mean]), moments(x, y, Fraction(1, m))

    def compare(stage: str, one: int) -> Comparison:
        identity = Identity(
            stage,
            small,
            m,
            lambda: _one_of(sides_in_floating_point(), one),
            lambda: _one_of(sides_in_rationals(), one),
        )
        return effort.settle([identity])

    return [compare(MEAN, 0), compare(VARIANCE, 1)]


def moments(x: np.ndarray, y: np.ndarray, one_over_m: float | Fraction) -> np.ndarray:
    """Mean and variance of ``<C'x, C'y>``, by the formula."""
    inner = x @ y
    return np.array([inner, (x @ x * (y @ y) + inner**2 - 2 * (x**2 @ y**2)) * one_over_m])


def _one_of(sides: tuple[np.ndarray, np.ndarray], index: int) -> tuple[np.ndarray, np.ndarray]:
    return sides[0][[index]], sides[1][[index]]
