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
One coordinate of the rows of T*, where the optimum is computed exactly (package kmeans1d), K = 4;
at most 100 rows.
"""

import numpy as np

from lsq_sketch import kmeans, kmeans_plusplus

from ..claim import Bound, Kind, Section
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
