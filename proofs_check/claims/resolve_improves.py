"""Solving the codebook again for fixed clusters never raises the loss.

Statement
---------
min_M L(A M) <= L(A M_0) for every codebook M_0, in particular for the cluster means.

Hypotheses
----------
None.

Source
------
Tsang and Ahle, "Clustering the Sketch", NeurIPS 2023, section 2 (cluster, then train on).

Proof idea
----------
M_0 is one of the codebooks minimised over.

Bound
-----
The slack L(A M_0) - L(A M), over L(A M_0) + ||Y||^2, may not fall below minus 1e-12. Losses are
evaluated on the n rows, from residuals that are known to 1e-13 of ||X|| ||T|| + ||Y||.

Experiment
----------
The one-shot pipeline: the clustered table against the re-solved one; and random assignments with a
random codebook against the re-solved one.
"""

import numpy as np

from lsq_sketch import BucketMatrix, one_shot, resolve

from ..claim import Bound, Kind, Section
from ..experiments import relative_slack
from ..instances import Instance

KIND = Kind.DETERMINISTIC
SECTION = Section.QUANTISATION

STATEMENT = r"""
$$\min_M L(AM) \le L(AM_0)$$
for every codebook $M_0$, in particular for the cluster means.
"""

MEANS = "cluster means"
RANDOM = "random codebook"
TOLERANCE = 1e-12


def bounds(instance: Instance) -> dict[str, Bound]:
    """Working precision."""
    return {MEANS: Bound(TOLERANCE), RANDOM: Bound(TOLERANCE)}


def trial(instance: Instance, rng: np.random.Generator) -> list[tuple[str, float]]:
    """Relative slack."""
    problem = instance.problem
    size = float(np.vdot(problem.Y, problem.Y))
    norm = np.sqrt(problem.squared_frobenius_norm)

    def slack(before: np.ndarray, after: np.ndarray) -> float:
        left, right = problem.loss(after), problem.loss(before)
        tables = max(np.linalg.norm(before), np.linalg.norm(after))
        lengths = float(norm * tables + np.sqrt(size))
        return float(relative_slack(left + size, right + size, lengths, TOLERANCE))

    n_clusters = min(instance.width, problem.d1)
    stages = one_shot(problem, 2 * n_clusters, n_clusters, rng)
    A = BucketMatrix(rng.integers(0, n_clusters, problem.d1), n_clusters)
    codebook = rng.standard_normal((n_clusters, problem.d2)) * np.abs(problem.optimum).mean()
    return [
        (MEANS, slack(stages.clustered.table, stages.resolved.table)),
        (RANDOM, slack(A.expand(codebook), resolve(problem, A).table)),
    ]
