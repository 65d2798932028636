"""The best codebook for the loss, between multiples of the k-means cost of the optimum.

Statement
---------
sigma_r^2 kappa*_K(T*) <= min over A, M of e(A M) <= sigma_1^2 kappa*_K(T*), kappa*_K the optimal
k-means cost.

Hypotheses
----------
X of full column rank.

Source
------
This toolkit.

Proof idea
----------
sigma_r^2 ||T - T*||^2 <= e(T) <= sigma_1^2 ||T - T*||^2 for every T; minimise over the tables A M.

Bound
-----
Each slack, over e_0, may not fall below minus 1e-10.

Experiment
----------
X restricted to 5 random columns that are linearly independent; both minima by trying every
assignment to K = 2 codewords.
"""

from itertools import product

import numpy as np

from lsq_sketch import BucketMatrix, LeastSquares, resolve

from ..claim import Bound, Kind, Section
from ..experiments import initial_excess, random_columns
from ..instances import Instance

KIND = Kind.DETERMINISTIC
SECTION = Section.QUANTISATION

STATEMENT = r"""
$$\sigma_r^2\, \kappa^*_K(T^*) \le \min_{A,\,M} e(AM) \le \sigma_1^2\, \kappa^*_K(T^*),$$
$\kappa^*_K$ the optimal k-means cost.
"""
HYPOTHESES = r"$X$ of full column rank."

COLUMNS, CODEWORDS = 5, 2
LOWER, UPPER = "lower", "upper"


def bounds(instance: Instance) -> dict[str, Bound]:
    """Working precision."""
    return {LOWER: Bound(1e-10), UPPER: Bound(1e-10)}


def trial(instance: Instance, rng: np.random.Generator) -> list[tuple[str, float]]:
    """Relative slack of both inequalities."""
    X = random_columns(instance, COLUMNS, rng)
    small = LeastSquares(X, instance.problem.Y)
    if small.rank < small.d1 or small.d1 < 2:
        return []
    e0 = initial_excess(small)
    if not e0 > 0:
        return []
    assignments = [np.array([0, *rest]) for rest in product(range(CODEWORDS), repeat=small.d1 - 1)]
    kappa = min(quantization_cost(small.optimum, labels) for labels in assignments)
    best = min(resolve(small, BucketMatrix(labels, CODEWORDS)).excess for labels in assignments)
    sigma = small.singular_values
    return [
        (LOWER, float((best - sigma[-1] ** 2 * kappa) / e0)),
        (UPPER, float((sigma[0] ** 2 * kappa - best) / e0)),
    ]


def quantization_cost(table: np.ndarray, labels: np.ndarray) -> float:
    """K-means cost of given clusters."""
    parts = [table[labels == c] for c in np.unique(labels)]
    return sum(float(((part - part.mean(axis=0)) ** 2).sum()) for part in parts)
