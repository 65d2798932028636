"""The expected error of one count sketch, solved.

Statement
---------
E e(C M) <= c e_0 with c = 1 - m rho / (1 + rho + m rho); and, sharper on a given instance,
E e(C M) <= e_0 - e_0^2 / q with
q = (1 + 1/m) e_0 + (||X||_F^2 ||T*||_F^2 - 2 sum_j ||x_j||^2 |T*_j|^2) / m.

Hypotheses
----------
C a count sketch of width m (the hashing trick with signs); e_0 > 0.

Source
------
This toolkit; the second moment of the count sketch is classic.

Proof idea
----------
Try the codebook alpha C' T*: E||X(T* - alpha CC'T*)||^2 = e_0 - 2 alpha e_0 + alpha^2 q, with
q = tr(T*' E[CC'X'XCC'] T*). Take alpha = e_0/q. The first form follows from
||T*||_F^2 <= e_0/sigma_r^2.

Bound
-----
c, and 1 - e_0/q, on the mean of e(C M)/e_0.

Experiment
----------
Independent count sketches, solved.
"""

import numpy as np

from lsq_sketch import CountSketch, resolve

from ..claim import Bound, Kind, Section
from ..experiments import initial_excess, require
from ..instances import Instance
from .dense_count_sketch_rate import rate

KIND = Kind.UPPER_BOUND
SECTION = Section.SPARSE_CCE

STATEMENT = r"""
$$\mathbb{E}\, e(CM) \le c\, e_0, \qquad c = 1 - \frac{m\rho}{1 + \rho + m\rho};$$
and, sharper on a given instance,
$$\mathbb{E}\, e(CM) \le e_0 - \frac{e_0^2}{q},$$
$$q = \left(1 + \frac{1}{m}\right) e_0 + \frac{\lVert X\rVert_F^2\, \lVert T^*\rVert_F^2
- 2\sum_j \lVert x_j\rVert^2\, \lvert T^*_j\rvert^2}{m}.$$
"""
HYPOTHESES = r"$C$ a count sketch of width $m$ (the hashing trick with signs); $e_0 > 0$."

BY_RATE = "by rho"
BY_INSTANCE = "instance form"


def instance_rate(instance: Instance, m: int) -> float:
    """``1 - e_0/q``."""
    problem = instance.problem
    e0 = initial_excess(problem)
    X = problem.X
    squared_columns = (X * X).sum(axis=0)
    squared_rows = (problem.optimum**2).sum(axis=1)
    trace = problem.squared_frobenius_norm * squared_rows.sum()
    q = (1 + 1 / m) * e0 + (trace - 2 * float(squared_columns @ squared_rows)) / m
    return 1 - e0 / q


def bounds(instance: Instance) -> dict[str, Bound]:
    """``c`` and ``1 - e_0/q``."""
    require(initial_excess(instance.problem) > 0, "the optimum must differ from the zero table")
    m = instance.width
    return {
        BY_RATE: Bound(rate(instance.problem.rho, m)),
        BY_INSTANCE: Bound(instance_rate(instance, m)),
    }


def trial(instance: Instance, rng: np.random.Generator) -> list[tuple[str, float]]:
    """``e(C M)/e_0``, held against both bounds."""
    problem = instance.problem
    sketched = resolve(problem, CountSketch(problem.d1, instance.width, rng))
    ratio = sketched.excess / initial_excess(problem)
    return [(BY_RATE, ratio), (BY_INSTANCE, ratio)]
