"""Dense CCE with count-sketch noise converges geometrically.

Statement
---------
E[e_i | T_{i-1}] <= c e_{i-1} with c = 1 - m rho / (1 + rho + m rho), m the width of the sketch and
rho = sigma_r^2 / ||X||_F^2.

Hypotheses
----------
Count-sketch noise, k > d2.

Source
------
This toolkit.

Proof idea
----------
Let D be the minimum-norm matrix with X D = X(T_{i-1} - T*), and try the update -alpha C C' D.
E||X(D - alpha C C' D)||^2 <= e (1 - 2 alpha + alpha^2 (1 + 1/m + 1/(m rho))) by the second moment
of the count sketch, E[CC'SCC'] = (1 + 1/m) S + (tr(S) I - 2 diag(S))/m. Take the best alpha.

Bound
-----
c on the mean of e_i / e_{i-1}, given the past.

Experiment
----------
The ratios e_i / e_{i-1} of trajectories of three rounds.

Exact evidence: the expectation over all sketches of at most 6 columns of X and 3 buckets, for two
of the targets, from T_0 = 0 and from the T_1 of one sketch; in rational arithmetic.
"""

import numpy as np

from lsq_sketch import dense_cce

from ..claim import Bound, Kind, Section
from ..exact.comparison import Comparison
from ..exact.effort import Effort
from ..exact.expectation import by_rho
from ..exact.past import Table
from ..experiments import EVERY, FIRST, FLOOR, LATER, dense_steps, require_noise_columns
from ..instances import Instance

KIND = Kind.UPPER_BOUND
SECTION = Section.DENSE_CCE

STATEMENT = r"""
$$\mathbb{E}\left[e_i \mid T_{i-1}\right] \le c\, e_{i-1}$$
with
$$c = 1 - \frac{m\rho}{1 + \rho + m\rho},$$
$m$ the width of the sketch and $\rho = \sigma_r^2 / \lVert X\rVert_F^2$.
"""
HYPOTHESES = r"Count-sketch noise, $k > d_2$."


def rate(rho: float, m: int) -> float:
    """``c = 1 - m rho / (1 + rho + m rho)``."""
    return 1 - m * rho / (1 + rho + m * rho)


def bounds(instance: Instance) -> dict[str, Bound]:
    """``c`` for each step."""
    require_noise_columns(instance)
    return {EVERY: Bound(rate(instance.problem.rho, instance.width))}


def trial(instance: Instance, rng: np.random.Generator) -> list[tuple[str, float]]:
    """Ratios ``e_i / e_{i-1}``."""
    return [(EVERY, ratio) for _, ratio in dense_steps(instance, "count-sketch", rng)]


def exact(instance: Instance, effort: Effort) -> list[Comparison]:
    """``E[e_i | T_{i-1}] / e_{i-1}`` over all sketches of a few columns."""
    first, later = [], []
    for small in effort.small_problems(instance):
        m, problem = effort.width(instance, small.d1), small.problem
        first.append(by_rho(FIRST, small, m, rate))
        step = dense_cce(problem, problem.d2 + m, 1, "count-sketch", effort.rng)
        if step.excess[1] > FLOOR * step.excess[0]:
            later.append(by_rho(LATER, small, m, rate, Table(step.table)))
    return [effort.settle(candidates) for candidates in (first, later) if candidates]
