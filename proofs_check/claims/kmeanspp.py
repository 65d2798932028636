"""D^2 seeding is within a logarithmic factor of the optimal k-means cost.

Statement
---------
The expected cost of the seeds drawn by D^2 sampling is at most 8 (ln K + 2) kappa*_K.

Hypotheses
----------
More than K distinct points (kappa*_K > 0).

Source
------
Classic: Arthur and Vassilvitskii, "k-means++: the advantages of careful seeding", SODA 2007.

Proof idea
----------
A cluster that receives a seed costs at most 8 times its optimum in expectation; induct on those
that have not.

Bound
-----
8 (ln K + 2) kappa*_K over the largest possible cost n |max - min|^2, on the mean of the cost over
the same.

Experiment
----------
One coordinate of the rows of T*, where the optimum is computed exactly (`kmeans_1d`), K = 4;
at most 100 rows.

Exact evidence: the expectation over all seeds that can be drawn, for 7 distinct points and K = 3;
in rational arithmetic.
"""

from fractions import Fraction
from itertools import combinations
from math import perm

import numpy as np

from lsq_sketch import kmeans, kmeans_plusplus

from ..claim import Bound, Kind, Section
from ..exact.comparison import Comparison
from ..exact.effort import Effort
from ..exact.expectation import Exactly
from ..exact.rational import integers
from ..experiments import EVERY, refuse_extreme_mean, require
from ..instances import Instance
from ..profile import Profile

KIND = Kind.UPPER_BOUND
SECTION = Section.QUANTISATION

STATEMENT = r"""
The expected cost of the seeds drawn by $D^2$ sampling is at most
$$8\, (\ln K + 2)\, \kappa^*_K.$$
"""
HYPOTHESES = r"More than $K$ distinct points ($\kappa^*_K > 0$)."

CLUSTERS, POINTS = 4, 100


def points(instance: Instance) -> np.ndarray:
    """First coordinates of the first rows of ``T*``, (at most 100, 1)."""
    return instance.problem.optimum[:POINTS, :1]


def scaled_optimum(instance: Instance) -> float:
    """``kappa*_K`` over the largest possible cost."""
    x = points(instance)
    require(np.unique(x).size > CLUSTERS, f"there must be more than {CLUSTERS} distinct rows")
    scaled = kmeans(x, CLUSTERS).cost / largest_cost(x)
    require(scaled > 1e-12, f"the optimal cost of {CLUSTERS} clusters must not be 0")
    return scaled


def largest_cost(x: np.ndarray) -> float:
    """``n |max - min|^2``."""
    return len(x) * float(np.ptp(x)) ** 2


def check_trial_cost(instance: Instance, profile: Profile) -> None:
    """A mean far below 1 takes too many trials to bound from above."""
    refuse_extreme_mean(bounds(instance)[EVERY].value, profile)


def bounds(instance: Instance) -> dict[str, Bound]:
    """``8 (ln K + 2) kappa*_K``, scaled; at most 1."""
    return {EVERY: Bound(min(1.0, 8 * (np.log(CLUSTERS) + 2) * scaled_optimum(instance)))}


def trial(instance: Instance, rng: np.random.Generator) -> list[tuple[str, float]]:
    """Cost of the seeds, scaled."""
    x = points(instance)
    seeds = x[kmeans_plusplus(x, CLUSTERS, rng)]
    cost = float(((x - seeds.T) ** 2).min(axis=1).sum())
    return [(EVERY, cost / largest_cost(x))]


FEW_POINTS, FEW_CLUSTERS = 7, 3


def constant(clusters: int) -> Fraction:
    """``8 (ln K + 2)``, rounded down."""
    return 8 * (Fraction(np.log(clusters)) - Fraction(1, 10**12) + 2)


def exact(instance: Instance, effort: Effort) -> list[Comparison]:
    """The expected cost of the seeds over ``8 (ln K + 2) kappa*_K``."""
    return [compare_exactly(instance, effort, constant(FEW_CLUSTERS))]


def compare_exactly(instance: Instance, effort: Effort, factor: Fraction) -> Comparison:
    """The expected cost of the seeds over ``kappa*_K``, against a factor; as a ratio, at most 1."""
    distinct = np.unique(points(instance))
    require(distinct.size > FEW_CLUSTERS, f"there must be more than {FEW_CLUSTERS} distinct rows")
    candidates = []
    for _ in range(effort.draws):
        chosen = effort.rng.choice(distinct, min(FEW_POINTS, distinct.size), replace=False)
        x = integers(np.sort(chosen))[0].tolist()
        ratio = expected_seed_cost(x, FEW_CLUSTERS) / best_cost(x, FEW_CLUSTERS) / factor
        stage = f"K = {FEW_CLUSTERS}; points " + ", ".join(f"{v:.3g}" for v in np.sort(chosen))
        candidates.append(Exactly(stage, KIND, ratio, Fraction(1), perm(len(x), FEW_CLUSTERS), 0))
    return effort.settle(candidates)


def expected_seed_cost(x: list[int], clusters: int) -> Fraction:
    """The expected cost of D^2 seeds, over all that can be drawn."""

    def after(nearest: list[int], y: int) -> list[int]:
        return [min(known, (v - y) ** 2) for known, v in zip(nearest, x, strict=True)]

    def expected(nearest: list[int], left: int) -> Fraction:
        cost = sum(nearest)
        if left == 0 or cost == 0:
            return Fraction(cost)
        drawn = [(weight, y) for weight, y in zip(nearest, x, strict=True) if weight]
        if left == 1:
            return Fraction(sum(weight * sum(after(nearest, y)) for weight, y in drawn), cost)
        costs = [weight * expected(after(nearest, y), left - 1) for weight, y in drawn]
        return sum(costs, Fraction(0)) / cost

    first = [expected([(v - y) ** 2 for v in x], clusters - 1) for y in x]
    return sum(first, Fraction(0)) / len(x)


def best_cost(x: list[int], clusters: int) -> Fraction:
    """``kappa*_K`` of sorted points: the best cut into intervals."""

    def spread(part: list[int]) -> Fraction:
        return Fraction(len(part) * sum(v * v for v in part) - sum(part) ** 2, len(part))

    cuts = combinations(range(1, len(x)), clusters - 1)
    return min(
        sum((spread(x[a:b]) for a, b in zip((0, *cut), (*cut, len(x)), strict=True)), Fraction(0))
        for cut in cuts
    )
