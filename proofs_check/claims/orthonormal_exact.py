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
"""

import numpy as np

from lsq_sketch import CountSketch, resolve

from ..claim import Bound, Kind, Section
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
