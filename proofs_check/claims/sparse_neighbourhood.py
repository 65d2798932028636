"""Sparse CCE contracts to a neighbourhood set by the quantisation error.

Statement
---------
E[e_i | T_{i-1}, A_i] <= c (sqrt(e_{i-1}) + sigma_1 sqrt(kappa_i))^2. Hence
sqrt(E e_i) <= sqrt(c) (sqrt(E e_{i-1}) + sigma_1 sqrt(E kappa_i)): a neighbourhood of radius
sqrt(c)/(1 - sqrt(c)) sigma_1 sqrt(kappa).

Hypotheses
----------
Sparse CCE, i >= 2; c = 1 - m rho / (1 + rho + m rho), m the width of C_i.

Source
------
This toolkit.

Proof idea
----------
sparse-step and resolve-chain; then Minkowski's inequality in L2.

Bound
-----
c on the mean of e_i / (sqrt(e_{i-1}) + sigma_1 sqrt(kappa_i))^2, given the past.

Experiment
----------
The second to the fourth round of Sparse CCE with k = 2m.

Exact evidence: that of sparse-step, for the second round.
"""

import numpy as np

from lsq_sketch import sparse_cce

from ..claim import Kind, Section
from ..exact.comparison import Comparison
from ..exact.effort import Effort
from ..exact.expectation import by_rho
from ..exact.past import ClusteredTable
from ..experiments import EVERY, FLOOR, require
from ..instances import Instance
from . import sparse_step
from .dense_count_sketch_rate import rate
from .sparse_step import ROUNDS, SMALL_WIDTH

KIND = Kind.UPPER_BOUND
SECTION = Section.SPARSE_CCE

STATEMENT = r"""
$$\mathbb{E}\left[e_i \mid T_{i-1}, A_i\right] \le
c \left(\sqrt{e_{i-1}} + \sigma_1 \sqrt{\kappa_i}\right)^2.$$
Hence
$$\sqrt{\mathbb{E}\, e_i} \le
\sqrt{c} \left(\sqrt{\mathbb{E}\, e_{i-1}} + \sigma_1 \sqrt{\mathbb{E}\, \kappa_i}\right):$$
a neighbourhood of radius $\dfrac{\sqrt{c}}{1 - \sqrt{c}}\, \sigma_1 \sqrt{\kappa}$.
"""
HYPOTHESES = r"""
Sparse CCE, $i \ge 2$; $c = 1 - m\rho / (1 + \rho + m\rho)$, $m$ the width of $C_i$.
"""

bounds = sparse_step.bounds


def trial(instance: Instance, rng: np.random.Generator) -> list[tuple[str, float]]:
    """Ratios of ``e_i`` to the square."""
    problem = instance.problem
    found = sparse_cce(problem, 2 * instance.width, ROUNDS, rng)
    kappa, e = found.quantization_cost[:-1], found.excess
    right = (np.sqrt(e[1:-1]) + problem.spectral_norm * np.sqrt(kappa)) ** 2
    pairs = zip(e[2:], right, strict=True)
    return [(EVERY, float(left / most)) for left, most in pairs if most > FLOOR * e[0]]


def exact(instance: Instance, effort: Effort) -> list[Comparison]:
    """The expectation over all sketches of a few columns, over the square."""
    candidates = []
    for small in effort.small_problems(instance):
        m, problem = effort.width(instance, small.d1, SMALL_WIDTH), small.problem
        if m < problem.d1:
            past = sparse_cce(problem, 2 * m, 1, effort.rng)
            clustered = ClusteredTable(past.assignments[-1], past.table)
            if clustered.reference_in_floating_point(small) > FLOOR * past.excess[0]:
                candidates.append(by_rho(EVERY, small, m, rate, clustered))
    require(bool(candidates), "no part of the instance has fewer clusters than rows")
    return [effort.settle(candidates)]
