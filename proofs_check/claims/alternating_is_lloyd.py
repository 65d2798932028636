"""On one one-hot field, alternating CCE is Lloyd's algorithm on the optimum.

Statement
---------
For a one-hot design of one field with ID counts w, ||X A M - Y||^2 = L* +
sum_j w_j |M_{a(j)} - T*_j|^2, and the iterates of alternating CCE are those of Lloyd's algorithm
for k-means on the rows of T* with weights w, though T* is never formed.

Hypotheses
----------
Mutually orthogonal columns of X.

Source
------
This toolkit.

Proof idea
----------
The change 2 <D, g_j> + w_j |D|^2 with g_j = w_j (M_a - T*_j) is
w_j (|M_c - T*_j|^2 - |M_a - T*_j|^2).

Bound
-----
The loss may differ from L* plus the k-means cost by 1e-10 of L_0. The weighted squared distance of
an ID from its codeword may not exceed that from another by more than 1e-10 of that from the
codeword it had before, and the error of a prediction known to 1e-13 of ||X|| (||T*|| + ||M||).

Experiment
----------
Six rounds from random assignments; each compared with the step of Lloyd's algorithm.
"""

import numpy as np
from numpy.linalg import norm

from lsq_sketch import alternating_cce

from ..claim import Bound, Kind, Section
from ..experiments import relative_slack, require
from ..instances import Instance
from .one_hot_exact import column_weights

KIND = Kind.DETERMINISTIC
SECTION = Section.ALTERNATING_CCE

STATEMENT = r"""
For a one-hot design of one field with ID counts $w$,
$$\lVert XAM - Y\rVert_F^2 = L^* + \sum_j w_j\, \lvert M_{a(j)} - T^*_j\rvert^2,$$
and the iterates of alternating CCE are those of Lloyd's algorithm for k-means on the rows of
$T^*$ with weights $w$, though $T^*$ is never formed.
"""
HYPOTHESES = r"Mutually orthogonal columns of $X$."

ROUNDS = 6
COST, NEAREST = "loss", "assignments"
TOLERANCE = 1e-10


def bounds(instance: Instance) -> dict[str, Bound]:
    """Working precision."""
    require(bool((instance.problem.Y != 0).any()), "the targets must not be zero")
    column_weights(instance)
    return {COST: Bound(TOLERANCE), NEAREST: Bound(TOLERANCE)}


def trial(instance: Instance, rng: np.random.Generator) -> list[tuple[str, float]]:
    """Minus the relative differences."""
    problem = instance.problem
    n_clusters = min(instance.width, problem.d1)
    run = alternating_cce(problem, n_clusters, ROUNDS, rng, init="hash")
    weights, optimum = column_weights(instance), problem.optimum
    seen = weights > 0

    def lengths(codebook: np.ndarray) -> float:
        return float(np.sqrt(weights.sum()) * (norm(optimum) + norm(codebook)))

    found = []
    for i in range(ROUNDS):
        codebook, labels = run.codebooks[i], run.assignments[i, 0]
        cost = weights @ ((optimum - codebook[labels]) ** 2).sum(axis=1)
        difference = abs(run.loss[i + 1] - problem.optimal_loss - cost)
        found.append((COST, -float(difference / run.loss[0])))
        if i + 1 < ROUNDS:
            distances = ((optimum[seen, None] - codebook) ** 2).sum(axis=2)
            ids, after = np.arange(len(distances)), run.assignments[i + 1, 0][seen]
            before = weights[seen] * distances[ids, labels[seen]]
            too_far = weights[seen] * (distances[ids, after] - distances.min(axis=1))
            slack = relative_slack(before + too_far, before, lengths(codebook), TOLERANCE)
            found.append((NEAREST, float(slack.min())))
    return found
