"""A table close enough to a clusterable optimum has its clusters.

Statement
---------
T* has exactly K distinct rows at pairwise distance >= delta. If
||T - T*||_F < delta / (2 (1 + sqrt(1 + eps))), every K-means solution of T within a factor 1 + eps
of the optimal cost has exactly the clusters of T*, and the re-solve returns T*: excess 0. For
eps = 0 the radius is delta/4.

Hypotheses
----------
T* has K < d1 distinct rows, K >= 2; X of full column rank, so that T* is the table that was
planted.

Source
------
This toolkit.

Proof idea
----------
B the clustered table: ||T - B|| <= sqrt(1 + eps) ||T - T*||, so ||B - T*|| < delta/2. Rows of B
from different true clusters then differ, and there are only K of them.

Bound
-----
Excess of the re-solved codebook over e_0 at most 1e-12.

Experiment
----------
d2 = 1, where the optimal clustering is computed exactly (`kmeans_1d`). T is T* plus a
perturbation of norm 0.999 delta/4: spread over all rows, or on two rows of neighbouring clusters
towards each other.
"""

import numpy as np

from lsq_sketch import kmeans, resolve

from ..claim import Bound, Kind, Section
from ..experiments import EVERY, initial_excess, require
from ..instances import Instance

KIND = Kind.DETERMINISTIC
SECTION = Section.SPARSE_CCE

STATEMENT = r"""
$T^*$ has exactly $K$ distinct rows at pairwise distance at least $\delta$. If
$$\lVert T - T^*\rVert_F < \frac{\delta}{2\left(1 + \sqrt{1 + \varepsilon}\right)},$$
every k-means solution of $T$ within a factor $1 + \varepsilon$ of the optimal cost has exactly
the clusters of $T^*$, and the re-solve returns $T^*$: excess 0. For $\varepsilon = 0$ the radius
is $\delta/4$.
"""
HYPOTHESES = r"""
$T^*$ has $K < d_1$ distinct rows, $K \ge 2$; $X$ of full column rank, so that $T^*$ is the table
that was planted.
"""

RADIUS = 0.999 / 4


def distinct_rows(instance: Instance) -> np.ndarray:
    """The distinct values of ``T*``, ascending, (K,)."""
    table = instance.problem.optimum[:, 0]
    ordered = np.sort(table)
    size = np.abs(table).max()
    return ordered[np.append(True, np.diff(ordered) > 1e-9 * size)]


def clustered_optimum(instance: Instance) -> np.ndarray:
    """``T*`` with its rows replaced by the nearest of `distinct_rows`, (d1, 1)."""
    rows = distinct_rows(instance)
    middles = (rows[1:] + rows[:-1]) / 2
    return rows[np.searchsorted(middles, instance.problem.optimum)]


def bounds(instance: Instance) -> dict[str, Bound]:
    """Working precision."""
    problem = instance.problem
    require(problem.d2 == 1, "there must be one target, where optimal clusters can be computed")
    require(problem.rank == problem.d1, "X must have full column rank")
    start = initial_excess(problem)
    require(start > 0, "the optimum must differ from the zero table")
    count = distinct_rows(instance).size
    require(2 <= count < problem.d1, f"T* must have fewer distinct rows than d1 (has {count})")
    merged = problem.excess(clustered_optimum(instance))
    require(merged <= 1e-14 * start, "nearly equal rows of T* must be equal to rounding")
    return {EVERY: Bound(1e-12)}


def perturbed(instance: Instance, radius: float, rng: np.random.Generator) -> np.ndarray:
    """``T*`` with a perturbation of norm ``radius * delta``, (d1, 1)."""
    table, rows = instance.problem.optimum, distinct_rows(instance)
    gaps = np.diff(rows)
    step = np.zeros_like(table)
    if rng.random() < 0.5:
        step = rng.standard_normal(table.shape)
    else:  # two rows of the closest clusters approach each other
        nearest = int(np.argmin(gaps))
        below = np.argmin(np.abs(table[:, 0] - rows[nearest]))
        above = np.argmin(np.abs(table[:, 0] - rows[nearest + 1]))
        share = rng.uniform(0, np.pi / 2)
        step[below, 0], step[above, 0] = np.cos(share), -np.sin(share)
    return table + radius * gaps.min() * step / np.linalg.norm(step)


def excess_after(instance: Instance, table: np.ndarray) -> float:
    """``e / e_0`` of the codebook re-solved on the optimal clusters of a table."""
    clustering = kmeans(table, distinct_rows(instance).size)
    resolved = resolve(instance.problem, clustering.assignments)
    return resolved.excess / initial_excess(instance.problem)


def trial(instance: Instance, rng: np.random.Generator) -> list[tuple[str, float]]:
    """Minus the excess of the re-solved codebook, over e_0."""
    return [(EVERY, -excess_after(instance, perturbed(instance, RADIUS, rng)))]
