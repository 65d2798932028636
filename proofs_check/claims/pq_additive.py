"""The cost of product quantisation is the sum of its blocks' costs.

Statement
---------
||T - PQ(T)||_F^2 = sum over blocks of the k-means costs of the blocks.

Hypotheses
----------
None.

Source
------
Classic: Jegou, Douze and Schmid 2011.

Proof idea
----------
The squared norm is a sum over columns.

Bound
-----
The two sides may differ by 1e-12 of ||T||^2.

Experiment
----------
T* (or a random rotation of its columns, where d2 = 1 leaves one block) quantised in random chunks.
"""

import numpy as np

from lsq_sketch.quantize import product_quantization

from ..claim import Bound, Kind, Section
from ..experiments import EVERY, sample_table
from ..instances import Instance

KIND = Kind.DETERMINISTIC
SECTION = Section.QUANTISATION

STATEMENT = r"""
$$\lVert T - \operatorname{PQ}(T)\rVert_F^2 =
\sum_b \lVert T_b - \operatorname{Q}_b(T_b)\rVert_F^2,$$
the sum over the blocks $T_b$ of columns of their k-means costs.
"""


def bounds(instance: Instance) -> dict[str, Bound]:
    """Working precision."""
    return {EVERY: Bound(1e-12)}


def trial(instance: Instance, rng: np.random.Generator) -> list[tuple[str, float]]:
    """Minus the relative difference."""
    table = sample_table(instance, rng) @ rng.standard_normal((instance.problem.d2, 6))
    n_clusters = min(int(rng.integers(2, 9)), len(table))
    q = product_quantization(table, n_clusters, int(rng.integers(1, 7)), rng)
    size = float((table**2).sum()) or 1.0
    return [(EVERY, -abs(float(((table - q.table) ** 2).sum() - q.costs.sum())) / size)]
