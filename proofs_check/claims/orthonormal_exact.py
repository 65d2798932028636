"""The exact expected error of the hashing trick with signs on orthonormal columns.

Statement
---------
If X'X = I then E e(C M) = (1 - m (1 - (1 - 1/m)^{d1}) / d1) e_0: the share lost is one minus the
expected number of nonempty buckets over d1.

Hypotheses
----------
X'X = I; C a count sketch of width m; e_0 > 0.

Source
------
This toolkit.

Proof idea
----------
A bucket with the set b of rows keeps |sum_{i in b} s_i T*_i|^2 / |b|, in expectation over the signs
sum_{i in b} |T*_i|^2 / |b|; and E[1 / (1 + Bin(d1 - 1, 1/m))] = m (1 - (1 - 1/m)^{d1}) / d1.

Bound
-----
The formula; an equality.

Experiment
----------
Independent count sketches, solved.

Exact evidence: all sketches of at most 6 columns and 3 buckets, with X'X = I exactly and T* as it
is stored; in rational arithmetic.
"""

from fractions import Fraction

import numpy as np

from lsq_sketch import CountSketch, resolve

from ..claim import Bound, Kind, Section
from ..exact.comparison import Comparison
from ..exact.effort import Effort
from ..exact.expectation import DiagonalLoss
from ..exact.small import stage_name
from ..experiments import EVERY, initial_excess, require
from ..instances import Instance

KIND = Kind.EQUALITY
SECTION = Section.SPARSE_CCE

STATEMENT = r"""
If $X^\top X = I$ then
$$\mathbb{E}\, e(CM) =
\left(1 - \frac{m}{d_1} \left(1 - \left(1 - \frac{1}{m}\right)^{d_1}\right)\right) e_0:$$
the share lost is one minus the expected number of nonempty buckets over $d_1$.
"""
HYPOTHESES = r"$X^\top X = I$; $C$ a count sketch of width $m$; $e_0 > 0$."


def share_lost(d1: int, m: int) -> float:
    """``1 - m (1 - (1 - 1/m)^{d1}) / d1``."""
    return 1 + m * float(np.expm1(d1 * np.log1p(-1 / m))) / d1 if m > 1 else 1 - 1 / d1


def bounds(instance: Instance) -> dict[str, Bound]:
    """The expected share of the excess that is left."""
    problem = instance.problem
    require(problem.rank == problem.d1, "X'X must be the identity")
    off = max(abs(problem.spectral_norm - 1), abs(problem.rho * problem.d1 - 1))
    require(off < 1e-9, "X'X must be the identity")
    require(initial_excess(problem) > 0, "the optimum must differ from the zero table")
    return {EVERY: Bound(share_lost(problem.d1, instance.width))}


def trial(instance: Instance, rng: np.random.Generator) -> list[tuple[str, float]]:
    """``e(C M)/e_0``."""
    problem = instance.problem
    sketched = resolve(problem, CountSketch(problem.d1, instance.width, rng))
    return [(EVERY, sketched.excess / initial_excess(problem))]


def exact(instance: Instance, effort: Effort) -> list[Comparison]:
    """``E e(C M)/e_0`` over all sketches of a few columns, against the formula."""
    bounds(instance)
    candidates = []
    for small in effort.small_problems(instance):
        d1, m = small.d1, effort.width(instance, small.d1)
        formula = 1 - m * (1 - (1 - Fraction(1, m)) ** d1) / d1
        optimum = [[Fraction(v) for v in row] for row in small.problem.optimum.tolist()]
        stage = stage_name("X'X = I", small)
        candidates.append(DiagonalLoss(stage, [Fraction(1)] * d1, optimum, m, formula))
    return [effort.settle(candidates)]
