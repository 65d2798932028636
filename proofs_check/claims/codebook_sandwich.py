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

Exact evidence: the same for at most 6 columns and two of the targets, in rational arithmetic.
"""

from collections.abc import Sequence
from fractions import Fraction
from itertools import product

import numpy as np

from lsq_sketch import BucketMatrix, LeastSquares, resolve

from ..claim import Bound, Kind, Section
from ..exact.comparison import Comparison
from ..exact.effort import Effort
from ..exact.interval import Interval
from ..exact.rational import Rationals, largest_eigenvalue, smallest_eigenvalue
from ..exact.small import stage_name
from ..experiments import initial_excess, random_columns, require
from ..finding import Certainty
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


def exact(instance: Instance, effort: Effort) -> list[Comparison]:
    """Slack of both inequalities over ``e_0``, in rationals."""
    small = effort.small_problem(instance)
    require(small.d1 >= CODEWORDS, f"there must be at least {CODEWORDS} columns")
    assignments = [(0, *rest) for rest in product(range(CODEWORDS), repeat=small.d1 - 1)]
    kappa = min(exact_quantization_cost(small.optimum, labels) for labels in assignments)
    indicators = [
        [[int(own == label) for label in sorted(set(labels))] for own in labels]
        for labels in assignments
    ]
    best = Interval.exactly(min(small.excess_beside(A) for A in indicators))
    unit, lowest = 1 / small.initial_excess, smallest_eigenvalue(small.gram)
    highest = largest_eigenvalue(small.gram)
    slacks = {LOWER: best - lowest.scaled(kappa), UPPER: highest.scaled(kappa) - best}
    found = [
        Comparison(
            stage_name(stage, small), KIND, slack.scaled(unit), Interval.exactly(0),
            Certainty.PROOF, cases=len(assignments),
        )
        for stage, slack in slacks.items()
    ]  # fmt: skip
    return [comparison.rounded() for comparison in found] if effort.is_floating else found


def exact_quantization_cost(table: Rationals, labels: Sequence[int]) -> Fraction:
    """K-means cost of given clusters."""
    total = Fraction(0)
    for label in set(labels):
        rows = [row for row, own in zip(table, labels, strict=True) if own == label]
        for column in zip(*rows, strict=True):
            mean = sum(column, Fraction(0)) / len(column)
            total += sum(((v - mean) ** 2 for v in column), Fraction(0))
    return total
