"""What one round of Sparse CCE gains over the codebook of its clusters.

Statement
---------
With a_i = min_M ||X A_i M - X T*||_F^2, E[e_i | A_i] <= c a_i, c = 1 - m rho / (1 + rho + m rho), m
the width of C_i.

Hypotheses
----------
Sparse CCE, i >= 2; T* not exactly of the form A_i M (a_i > 0).

Source
------
This toolkit.

Proof idea
----------
As for dense-count-sketch-rate, from the best table A_i M instead of T_{i-1}: the span of
[A_i | C_i] contains A_i M - alpha C C' D.

Bound
-----
c on the mean of e_i / a_i, given A_i.

Experiment
----------
The ratios e_i / a_i of the second to the fourth round of Sparse CCE with k = 2m.

Exact evidence: the expectation over all sketches of at most 6 columns of X and 2 buckets, for two
of the targets, beside the 2 clusters of one first round; in rational arithmetic.
"""

import numpy as np

from lsq_sketch import sparse_cce

from ..claim import Bound, Kind, Section
from ..exact.comparison import Comparison
from ..exact.effort import Effort
from ..exact.expectation import by_rho
from ..exact.past import Clusters
from ..experiments import EVERY, FLOOR, initial_excess, require
from ..instances import Instance
from .dense_count_sketch_rate import rate

KIND = Kind.UPPER_BOUND
SECTION = Section.SPARSE_CCE

STATEMENT = r"""
With $a_i = \min_M \lVert XA_iM - XT^*\rVert_F^2$,
$$\mathbb{E}\left[e_i \mid A_i\right] \le c\, a_i, \quad
c = 1 - \frac{m\rho}{1 + \rho + m\rho},$$
$m$ the width of $C_i$.
"""
HYPOTHESES = r"Sparse CCE, $i \ge 2$; $T^*$ not exactly of the form $A_iM$ ($a_i > 0$)."

ROUNDS = 4


def bounds(instance: Instance) -> dict[str, Bound]:
    """``c`` for each round."""
    problem = instance.problem
    require(initial_excess(problem) > 0, "the optimum must differ from the zero table")
    require(instance.width < problem.d1, "there must be fewer clusters than rows")
    return {EVERY: Bound(rate(problem.rho, instance.width))}


def trial(instance: Instance, rng: np.random.Generator) -> list[tuple[str, float]]:
    """Ratios ``e_i / a_i``."""
    found = sparse_cce(instance.problem, 2 * instance.width, ROUNDS, rng)
    pairs = zip(found.excess[2:], found.resolved_excess[:-1], strict=True)
    return [(EVERY, float(e / a)) for e, a in pairs if a > FLOOR * found.excess[0]]


SMALL_WIDTH = 2


def exact(instance: Instance, effort: Effort) -> list[Comparison]:
    """``E[e_i | A_i] / a_i`` over all sketches of a few columns."""
    candidates = []
    for small in effort.small_problems(instance):
        m, problem = effort.width(instance, small.d1, SMALL_WIDTH), small.problem
        if m >= problem.d1:
            continue
        past = sparse_cce(problem, 2 * m, 1, effort.rng)
        if past.resolved_excess[-1] > FLOOR * past.excess[0]:
            clusters = Clusters(past.assignments[-1])
            candidates.append(by_rho(EVERY, small, m, rate, clusters))
    require(bool(candidates), "no part of the instance has fewer clusters than rows and a_i > 0")
    return [effort.settle(candidates)]
