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

Exact evidence: the expectation over all sketches of at most 6 columns of X and 3 buckets, for two
of the targets; in rational arithmetic.
"""

from fractions import Fraction

import numpy as np

from lsq_sketch import CountSketch, resolve

from ..claim import Bound, Kind, Section
from ..exact.comparison import Comparison
from ..exact.effort import Effort
from ..exact.expectation import ExpectedExcess, by_rho
from ..exact.interval import Interval
from ..exact.small import SmallProblem
from ..experiments import initial_excess, require
from ..instances import Instance
from .dense_count_sketch_rate import rate

KIND = Kind.UPPER_BOUND
SECTION = Section.SPARSE_CCE

STATEMENT = r"""
$$\mathbb{E}\, e(CM) \le c\, e_0, \quad c = 1 - \frac{m\rho}{1 + \rho + m\rho};$$
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


def exact(instance: Instance, effort: Effort) -> list[Comparison]:
    """``E e(C M)/e_0`` over all sketches of a few columns, against both bounds."""
    parts = effort.small_problems(instance)
    rates = [
        by_rho(BY_RATE, small, m, rate)
        for small in parts
        for m in [effort.width(instance, small.d1)]
    ]
    forms = [instance_form(small, effort.width(instance, small.d1)) for small in parts]
    return [effort.settle(rates), effort.settle(forms)]


def instance_form(small: SmallProblem, m: int) -> ExpectedExcess:
    """``1 - e_0/q`` on a part of an instance, in either arithmetic."""

    def in_floating_point(part: SmallProblem) -> float:
        return instance_rate(Instance(part.name, "", False, lambda: part.problem), m)

    def in_rationals(part: SmallProblem) -> Interval:
        columns = [row[j] for j, row in enumerate(part.gram)]
        rows = [sum(entry**2 for entry in row) for row in part.optimum]
        crossed = sum(columns) * sum(rows)
        crossed -= 2 * sum(x * t for x, t in zip(columns, rows, strict=True))
        q = (1 + Fraction(1, m)) * part.initial_excess + crossed / m
        return Interval.exactly(1 - part.initial_excess / q)

    return ExpectedExcess(BY_INSTANCE, small, m, in_floating_point, in_rationals)
