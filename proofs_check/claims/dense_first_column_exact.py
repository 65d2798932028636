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

Exact evidence, in balls: sum_j lambda_j = 1; with the first and last direction alone
lambda_1 = sigma_1 / (sigma_1 + sigma_2); and the quadrature behind the bound.
"""

from fractions import Fraction

import numpy as np

from lsq_sketch import LeastSquares, dense_cce

from ..claim import Bound, Kind, Section
from ..exact.balls import weighted_share
from ..exact.comparison import Comparison
from ..exact.effort import Effort
from ..exact.spectrum import (
    ENCLOSED,
    QUADRATURE,
    enclosed_equality,
    energies_of,
    equality_in_floating_point,
)
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


def singular_coordinates(problem: LeastSquares) -> tuple[np.ndarray, np.ndarray]:
    """Singular values of ``X`` and ``|b_j|^2``, each (r,)."""
    # right singular vectors and values give U'Y = diag(sigma) V'T*
    dense = problem.X if isinstance(problem.X, np.ndarray) else problem.X.toarray()
    _, sigma, Vt = np.linalg.svd(dense, full_matrices=False)
    sigma, Vt = sigma[: problem.rank], Vt[: problem.rank]
    b = sigma[:, None] * (Vt @ problem.optimum)
    return sigma, (b**2).sum(axis=1)


def law(sigma: np.ndarray, energies: np.ndarray) -> float:
    """``sum_j (1 - lambda_j) |b_j|^2 / sum_j |b_j|^2``."""
    return float((1 - direction_weights(sigma**2)) @ energies / energies.sum())


def bounds(instance: Instance) -> dict[str, Bound]:
    """``sum_j (1 - lambda_j) |b_j|^2 / e_0``."""
    problem = instance.problem
    e0 = initial_excess(problem)
    require(e0 > 0, "the optimum must differ from the zero table (e_0 > 0)")
    require(problem.rank > 1, "with rank 1 one step is exact")
    return {EVERY: Bound(law(*singular_coordinates(problem)))}


def trial(instance: Instance, rng: np.random.Generator) -> list[tuple[str, float]]:
    """``e_1 / e_0``."""
    problem = instance.problem
    excess = dense_cce(problem, problem.d2 + 1, 1, rng=rng).excess
    return [(EVERY, float(excess[1] / excess[0]))]


SUM, PAIR, LAW = "sum of lambda", "first and last direction alone", "quadrature of the law"


def exact(instance: Instance, effort: Effort) -> list[Comparison]:
    """Two numbers that are known otherwise, and the quadrature in a ball."""
    problem = instance.problem
    require(initial_excess(problem) > 0, "the optimum must differ from the zero table (e_0 > 0)")
    require(problem.rank > 1, "with rank 1 one step is exact")
    spectrum, energies = energies_of(singular_coordinates, problem, effort)
    squared, sigma = spectrum.squared, spectrum.singular_values
    ends = [squared[0], squared[-1]]
    larger, smaller = Fraction(float(sigma[0])), Fraction(float(sigma[-1]))
    pair = larger / (larger + smaller)
    if effort.is_floating:
        total = float(direction_weights(sigma**2).sum())
        first = float(direction_weights(sigma[[0, -1]] ** 2)[0])
        return [
            equality_in_floating_point(SUM, total, 1, 1),
            equality_in_floating_point(PAIR, first, pair, 1),
        ]
    ones, one = [Fraction(1)] * len(squared), [Fraction(1), Fraction(0)]
    quadrature = law(sigma, np.array([float(energy) for energy in energies]))
    return [
        enclosed_equality(SUM, lambda bits: weighted_share(squared, ones, bits), 1, ENCLOSED, 1),
        enclosed_equality(PAIR, lambda bits: weighted_share(ends, one, bits), pair, ENCLOSED, 1),
        enclosed_equality(
            LAW, lambda bits: spectrum.one_column(energies, bits), quadrature, QUADRATURE, 1
        ),
    ]
