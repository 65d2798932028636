"""Hash, solve, cluster, re-solve finds the optimal codebook in logarithmically many rounds.

Statement
---------
Dense CCE with count-sketch noise: P(the clusters of T_i are not those of T*) <=
16 c^i e_0 / (sigma_r^2 delta^2), c = 1 - m rho / (1 + rho + m rho).

Hypotheses
----------
X of full column rank; T* has K < d1 distinct rows at pairwise distance >= delta.

Source
------
This toolkit.

Proof idea
----------
||T_i - T*||^2 <= e_i / sigma_r^2, dense-count-sketch-rate for E e_i, Markov's inequality, and
cluster-recovery with eps = 0.

Bound
-----
The probability after the first i where it is at most 1/2.

Experiment
----------
Trajectories of that length, clustered optimally (d2 = 1); a failure is an excess of the re-solved
codebook above 1e-12 e_0.
"""

import math

import numpy as np

from lsq_sketch import dense_cce

from ..claim import Bound, Kind, Section, TooCostlyError
from ..experiments import EVERY, initial_excess, require_noise_columns
from ..instances import Instance
from ..profile import Profile
from . import cluster_recovery, dense_count_sketch_rate

KIND = Kind.UPPER_BOUND
SECTION = Section.SPARSE_CCE

STATEMENT = r"""
Dense CCE with count-sketch noise: the probability that the clusters of $T_i$ are not those of $T^*$
is at most
$$\frac{16\, c^i\, e_0}{\sigma_r^2\, \delta^2}, \qquad c = 1 - \frac{m\rho}{1 + \rho + m\rho}.$$
"""
HYPOTHESES = r"""
$X$ of full column rank; $T^*$ has $K < d_1$ distinct rows at pairwise distance at least $\delta$.
"""


def scale(instance: Instance) -> float:
    """``16 e_0 / (sigma_r^2 delta^2)``: the bound before the first round."""
    problem = instance.problem
    delta = float(np.diff(cluster_recovery.distinct_rows(instance)).min())
    smallest = problem.rho * problem.squared_frobenius_norm
    return 16 * initial_excess(problem) / (smallest * delta**2)


def rounds_and_bound(instance: Instance) -> tuple[int, float]:
    """The first ``i`` where the bound is at most 1/2, and the bound there."""
    c = dense_count_sketch_rate.rate(instance.problem.rho, instance.width)
    start = scale(instance)
    i = max(1, math.ceil(math.log(2 * start) / -math.log(c)))
    return i, start * c**i


def check_trial_cost(instance: Instance, profile: Profile) -> None:
    """Long trajectories are left out."""
    i, _ = rounds_and_bound(instance)
    if i > profile.rounds:
        raise TooCostlyError(
            f"the bound is 1/2 only after {i:,} rounds, tried up to {profile.rounds}"
        )


def bounds(instance: Instance) -> dict[str, Bound]:
    """``16 c^i e_0 / (sigma_r^2 delta^2)``."""
    cluster_recovery.bounds(instance)
    require_noise_columns(instance)
    return {EVERY: Bound(rounds_and_bound(instance)[1])}


def trial(instance: Instance, rng: np.random.Generator) -> list[tuple[str, float]]:
    """1 if the clusters were not recovered, 0 if they were."""
    problem = instance.problem
    i, _ = rounds_and_bound(instance)
    run = dense_cce(problem, problem.d2 + instance.width, i, "count-sketch", rng)
    return [(EVERY, float(cluster_recovery.excess_after(instance, run.table) > 1e-12))]
