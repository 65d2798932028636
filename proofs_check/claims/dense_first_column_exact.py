"""The exact expected error of the first step of Dense CCE with one noise column.

Statement
---------
m = 1, T_0 = 0, b_j the rows of U'Y: E e_1 = sum_j (1 - lambda_j) |b_j|^2 with
lambda_j = int_0^inf sigma_j^2 / (1 + 2 t sigma_j^2) prod_l (1 + 2 t sigma_l^2)^{-1/2} dt.

Hypotheses
----------
Gaussian noise, k = d2 + 1, e_0 > 0.

Source
------
This toolkit.

Proof idea
----------
The projection onto S g has expectation diag(lambda), lambda_j = E[sigma_j^2 g_j^2 / |S g|^2]; write
1/x = int e^{-tx} dt.

Bound
-----
The sum over e_0, by quadrature; an equality.

Experiment
----------
e_1 / e_0 of Dense CCE with k = d2 + 1.
"""

import numpy as np

from lsq_sketch import dense_cce

from ..claim import Bound, Kind, Section
from ..experiments import EVERY, initial_excess, refuse_extreme_mean, require
from ..instances import Instance
from ..integrals import direction_weights
from ..profile import LARGE_RANK, Profile

KIND = Kind.EQUALITY
SECTION = Section.DENSE_CCE

STATEMENT = r"""
For $m = 1$, $T_0 = 0$, $b_j$ the rows of $U^\top Y$,
$$\mathbb{E}\, e_1 = \sum_j (1 - \lambda_j)\, \lvert b_j\rvert^2,$$
$$\lambda_j = \int_0^\infty \frac{\sigma_j^2}{1 + 2t\sigma_j^2}
\prod_l \left(1 + 2t\sigma_l^2\right)^{-1/2} dt.$$
"""
HYPOTHESES = r"Gaussian noise, $k = d_2 + 1$, $e_0 > 0$."


def check_bound_cost(instance: Instance, profile: Profile) -> None:
    """At rank r the law is at distance 1/r from 1."""
    if instance.rank_limit > LARGE_RANK:
        refuse_extreme_mean(1 - 1 / instance.rank_limit, profile)


def check_trial_cost(instance: Instance, profile: Profile) -> None:
    """Targets on small singular directions bring the law closer to 1."""
    refuse_extreme_mean(bounds(instance)[EVERY].value, profile)


def bounds(instance: Instance) -> dict[str, Bound]:
    """``sum_j (1 - lambda_j) |b_j|^2 / e_0``."""
    problem = instance.problem
    e0 = initial_excess(problem)
    require(e0 > 0, "the optimum must differ from the zero table (e_0 > 0)")
    require(problem.rank > 1, "with rank 1 one step is exact")
    # right singular vectors and values give U'Y = diag(sigma) V'T*
    dense = problem.X if isinstance(problem.X, np.ndarray) else problem.X.toarray()
    _, sigma, Vt = np.linalg.svd(dense, full_matrices=False)
    sigma, Vt = sigma[: problem.rank], Vt[: problem.rank]
    b = sigma[:, None] * (Vt @ problem.optimum)
    left = (1 - direction_weights(sigma**2)) @ (b**2).sum(axis=1)
    return {EVERY: Bound(float(left / e0))}


def trial(instance: Instance, rng: np.random.Generator) -> list[tuple[str, float]]:
    """``e_1 / e_0``."""
    problem = instance.problem
    excess = dense_cce(problem, problem.d2 + 1, 1, rng=rng).excess
    return [(EVERY, float(excess[1] / excess[0]))]
