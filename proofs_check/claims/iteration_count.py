"""How many rounds of Dense CCE suffice for a given accuracy.

Statement
---------
E e_i <= eps once i >= log(e_0 / eps) / (m log(1 / (1 - rho))), m = k - d2.

Hypotheses
----------
Gaussian noise, k > d2, eps < e_0.

Source
------
Tsang and Ahle, "Clustering the Sketch", NeurIPS 2023, after Theorem 3.1.

Proof idea
----------
Solve (1 - rho)^{i m} e_0 <= eps for i (dense-rate).

Bound
-----
eps / e_0 = 1/2 on the mean of e_i / e_0, at the first such i.

Experiment
----------
Trajectories of i rounds, on instances where i is at most 500.
"""

import math

import numpy as np

from lsq_sketch import dense_cce

from ..claim import Bound, Kind, Section, TooCostlyError
from ..experiments import EVERY, require_noise_columns
from ..instances import Instance
from ..profile import Profile

KIND = Kind.UPPER_BOUND
SECTION = Section.DENSE_CCE

STATEMENT = r"""
$$\mathbb{E}\, e_i \le \varepsilon \quad\text{once}\quad
i \ge \frac{\log(e_0/\varepsilon)}{m \log\left(1/(1 - \rho)\right)},$$
$m = k - d_2$.
"""
HYPOTHESES = r"Gaussian noise, $k > d_2$, $\varepsilon < e_0$."

ACCURACY = 0.5


def rounds(rho: float, m: int, accuracy: float) -> int:
    """Rounds that suffice for ``E e_i <= accuracy e_0``."""
    return math.ceil(math.log(1 / accuracy) / (-m * math.log1p(-rho)))


def rounds_at_rates(first: float, later: float, accuracy: float) -> int:
    """The least ``i >= 1`` with ``first * later^(i-1) <= accuracy``: the count from other rates.

    Parameters
    ----------
    first, later : float
        Factors, below 1, on the mean in the first round and in each later one.
    accuracy : float
        ``eps / e_0``, in (0, 1).

    Returns
    -------
    int
    """
    if first <= accuracy:
        return 1
    return 1 + math.ceil(math.log(accuracy / first) / math.log(later))


def check_trial_cost(instance: Instance, profile: Profile) -> None:
    """Long trajectories are left out."""
    needed = rounds(instance.problem.rho, instance.width, ACCURACY)
    if needed > profile.rounds:
        raise TooCostlyError(
            f"the paper's count is {needed:,} rounds, tried up to {profile.rounds}"
        )


def bounds(instance: Instance) -> dict[str, Bound]:
    """``eps / e_0``."""
    require_noise_columns(instance)
    return {EVERY: Bound(ACCURACY)}


def trial(instance: Instance, rng: np.random.Generator) -> list[tuple[str, float]]:
    """``e_i / e_0`` after the rounds that suffice."""
    problem, m = instance.problem, instance.width
    n_iter = rounds(problem.rho, m, ACCURACY)
    excess = dense_cce(problem, problem.d2 + m, n_iter, rng=rng).excess
    return [(EVERY, float(excess[-1] / excess[0]))]
