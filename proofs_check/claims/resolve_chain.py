"""The error of a re-solved clustering, from the error and the k-means cost of the table.

Statement
---------
a_i <= ||X(Q_i - T*)||_F^2 <= (sqrt(e_{i-1}) + sigma_1 sqrt(kappa_i))^2, where Q_i is the clustered
table (rows replaced by the means of their clusters), kappa_i = ||T_{i-1} - Q_i||_F^2, and a_i the
excess of the best codebook for the same clusters.

Hypotheses
----------
None.

Source
------
This toolkit.

Proof idea
----------
Q_i is one of the tables A_i M; then the triangle inequality for ||X(.)||_F and
||X(Q - T)||_F <= sigma_1 ||Q - T||_F.

Bound
-----
Each slack, over the larger side, may not fall below minus 1e-10; each side has an error of 1e-13 of
the lengths of the vectors that cancel in it, and codebooks are solved to 1e-12 of e_0.

Experiment
----------
The tables of Sparse CCE after one to three rounds, their clusters, and the codebook re-solved.
"""

import numpy as np

from lsq_sketch import sparse_cce

from ..claim import Bound, Kind, Section
from ..experiments import initial_excess, relative_slack, require
from ..instances import Instance

KIND = Kind.DETERMINISTIC
SECTION = Section.SPARSE_CCE

STATEMENT = r"""
$$a_i \le \lVert X(Q_i - T^*)\rVert_F^2 \le
\left(\sqrt{e_{i-1}} + \sigma_1 \sqrt{\kappa_i}\right)^2,$$
where $Q_i$ is the clustered table (rows replaced by the means of their clusters),
$\kappa_i = \lVert T_{i-1} - Q_i\rVert_F^2$, and $a_i$ the excess of the best codebook for the
same clusters.
"""

RESOLVED = "re-solved against clustered"
CLUSTERED = "clustered against its bound"
TOLERANCE, SOLVED = 1e-10, 1e-12


def bounds(instance: Instance) -> dict[str, Bound]:
    """Working precision."""
    require(instance.width <= instance.problem.d1, "at most as many clusters as rows")
    return {RESOLVED: Bound(TOLERANCE), CLUSTERED: Bound(TOLERANCE)}


def trial(instance: Instance, rng: np.random.Generator) -> list[tuple[str, float]]:
    """Relative slack of both inequalities."""
    problem = instance.problem
    found = sparse_cce(problem, 2 * instance.width, int(rng.integers(1, 4)), rng)
    clustered = cluster_means(found.table, found.assignments[-1])
    kappa = float(((found.table - clustered) ** 2).sum())
    middle = problem.excess(clustered)
    right = (np.sqrt(found.excess[-1]) + problem.spectral_norm * np.sqrt(kappa)) ** 2
    tables = np.linalg.norm(found.table) + np.linalg.norm(clustered)
    start = initial_excess(problem)
    lengths = problem.spectral_norm * tables + np.sqrt(start)
    resolved = max(0.0, float(found.resolved_excess[-1]) - SOLVED * start)
    return [
        (RESOLVED, float(relative_slack(resolved, middle, lengths, TOLERANCE))),
        (CLUSTERED, float(relative_slack(middle, right, lengths, TOLERANCE))),
    ]


def cluster_means(table: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The table with each row replaced by the mean of its cluster."""
    _, compact, counts = np.unique(labels, return_inverse=True, return_counts=True)
    sums = np.zeros((counts.size, table.shape[1]))
    np.add.at(sums, compact, table)
    return (sums / counts[:, None])[compact]
