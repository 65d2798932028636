"""False: cluster-recovery with the radius delta in place of delta/4.

Statement
---------
(Wrong.) If ||T - T*||_F < delta, the optimal K-means solution of T has exactly the clusters of T*.

Hypotheses
----------
Those of cluster-recovery. They do not suffice.

Source
------
False statement 6.

Proof idea
----------
A single row moved by nearly delta lies in the neighbouring cluster.

Bound
-----
That of cluster-recovery.

Experiment
----------
That of cluster-recovery, with perturbations of norm 0.999 delta.
"""

import numpy as np

from ..claim import Kind, Section
from ..experiments import EVERY
from ..instances import Instance
from . import cluster_recovery

KIND = Kind.DETERMINISTIC
SECTION = Section.SPARSE_CCE
TWIN = "cluster-recovery"
KILLED_BY = "planted-exact"

STATEMENT = r"""
If
$$\lVert T - T^*\rVert_F < \delta,$$
the optimal k-means solution of $T$ has exactly the clusters of $T^*$.
"""

bounds = cluster_recovery.bounds


def trial(instance: Instance, rng: np.random.Generator) -> list[tuple[str, float]]:
    """Minus the excess of the re-solved codebook, over e_0."""
    table = cluster_recovery.perturbed(instance, 0.999, rng)
    return [(EVERY, -cluster_recovery.excess_after(instance, table))]
