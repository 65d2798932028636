"""Theorem 3.1: Dense CCE with Gaussian noise converges geometrically at the rate rho.

Statement
---------
E[e_i | T_{i-1}] <= (1 - rho)^m e_{i-1}, hence E e_i <= (1 - rho)^{i m} e_0, with m = k - d2 and
rho = sigma_r^2 / ||X||_F^2.

Hypotheses
----------
Gaussian noise, k > d2. (If m >= r one step is exact, see one-step-exact.)

Source
------
Tsang and Ahle, "Clustering the Sketch", NeurIPS 2023, Theorem 3.1.

Proof idea
----------
Add the columns of X G one at a time. For a fresh Gaussian g the projection onto S g has
expectation diag(lambda), lambda_j / sigma_j^2 is largest for the smallest sigma_j, and the lambda_j
sum to 1: so lambda_min >= rho. After projecting out earlier columns, the smallest nonzero singular
value is at least sigma_r (interlacing) and the Frobenius norm at most ||X||_F.

Bound
-----
(1 - rho)^m on the mean of e_i / e_{i-1}, given the past.

Experiment
----------
The ratios e_i / e_{i-1} of trajectories of three rounds. All steps of one trajectory are used: the
statement holds given the past.

Exact evidence: rho / lambda_min <= 1 for the instance's spectrum, and E e_1 of a single column from
T_0 = 0 against 1 - rho, the integrals in balls.
"""

import numpy as np

from ..claim import Bound, Kind, Section
from ..exact.comparison import Comparison
from ..exact.effort import Effort
from ..exact.spectrum import chebyshev, energies_of, one_column, spectrum_of
from ..experiments import EVERY, dense_steps, require_noise_columns
from ..instances import Instance
from ..profile import LARGE_RANK
from .dense_first_column_exact import singular_coordinates

KIND = Kind.UPPER_BOUND
SECTION = Section.DENSE_CCE

STATEMENT = r"""
$$\mathbb{E}\left[e_i \mid T_{i-1}\right] \le (1 - \rho)^m\, e_{i-1},$$
hence
$$\mathbb{E}\, e_i \le (1 - \rho)^{im}\, e_0,$$
with $m = k - d_2$ and $\rho = \sigma_r^2 / \lVert X\rVert_F^2$.
"""
HYPOTHESES = r"""
Gaussian noise, $k > d_2$. (If $m \ge r$ one step is exact, see `one-step-exact`.)
"""


def rate(rho: float, m: int) -> float:
    """``(1 - rho)^m``."""
    return float(np.exp(m * np.log1p(-rho)))


def bounds(instance: Instance) -> dict[str, Bound]:
    """``(1 - rho)^m`` for each step."""
    require_noise_columns(instance)
    return {EVERY: Bound(rate(instance.problem.rho, instance.width))}


def trial(instance: Instance, rng: np.random.Generator) -> list[tuple[str, float]]:
    """Ratios ``e_i / e_{i-1}``."""
    return [(EVERY, ratio) for _, ratio in dense_steps(instance, "gaussian", rng)]


def exact(instance: Instance, effort: Effort) -> list[Comparison]:
    """``rho <= lambda_min``; on instances that are not large, one column against ``1 - rho``."""
    require_noise_columns(instance)
    problem = instance.problem
    found = [chebyshev(spectrum_of(problem, effort), effort)]
    if min(problem.n, problem.d1) <= LARGE_RANK:
        spectrum, energies = energies_of(singular_coordinates, problem, effort)
        bound = 1 - spectrum.rho
        found.append(one_column("one column, T_0 = 0", spectrum, energies, bound, effort))
    return found
