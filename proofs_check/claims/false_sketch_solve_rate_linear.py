"""False: sketch-solve-rate with c = 1 - m rho.

Statement
---------
(Wrong.) E e(C M) <= (1 - m rho) e_0.

Hypotheses
----------
Those of sketch-solve-rate. They do not suffice.

Source
------
False statement 4.

Proof idea
----------
The sketch cannot gain linearly in m without end: IDs still collide when m = d1. On orthonormal
columns orthonormal-exact gives the truth, which exceeds 1 - m/d1.

Bound
-----
1 - m rho.

Experiment
----------
That of sketch-solve-rate, with half as many buckets as columns.

Exact evidence: that of sketch-solve-rate.
"""

from typing import Any

import numpy as np

from lsq_sketch import CountSketch, resolve

from ..claim import Bound, Kind, Section
from ..exact.comparison import Comparison
from ..exact.effort import Effort
from ..exact.expectation import by_rho
from ..experiments import EVERY, initial_excess, require
from ..instances import Instance

KIND = Kind.UPPER_BOUND
SECTION = Section.SPARSE_CCE
TWIN = "sketch-solve-rate"
KILLED_BY = "flat"

STATEMENT = r"""
$$\mathbb{E}\, e(CM) \le (1 - m\rho)\, e_0.$$
"""


def width(instance: Instance) -> int:
    """Buckets used here."""
    return instance.given_width or max(2, instance.problem.d1 // 2)


def rate(rho: Any, m: int) -> Any:
    """``1 - m rho``, but not below 0."""
    return max(0 * rho, 1 - m * rho)


def bounds(instance: Instance) -> dict[str, Bound]:
    """``1 - m rho``."""
    require(initial_excess(instance.problem) > 0, "the optimum must differ from the zero table")
    return {EVERY: Bound(rate(instance.problem.rho, width(instance)))}


def trial(instance: Instance, rng: np.random.Generator) -> list[tuple[str, float]]:
    """``e(C M)/e_0``."""
    problem = instance.problem
    sketched = resolve(problem, CountSketch(problem.d1, width(instance), rng))
    return [(EVERY, sketched.excess / initial_excess(problem))]


def exact(instance: Instance, effort: Effort) -> list[Comparison]:
    """``E e(C M)/e_0`` over all sketches of a few columns."""
    candidates = []
    for small in effort.small_problems(instance):
        m = effort.width(instance, small.d1, max(2, small.d1 // 2))
        candidates.append(by_rho(EVERY, small, m, rate))
    return [effort.settle(candidates)]
