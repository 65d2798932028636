"""A spectral floor under every k-means cost.

Statement
---------
kappa*_K(T) >= the sum of the squared singular values of the centred T beyond the (K-1)-th.

Hypotheses
----------
None.

Source
------
Classic: Ding and He, "K-means clustering via principal component analysis", 2004.

Proof idea
----------
The clustered table, centred, has rank at most K - 1; Eckart-Young.

Bound
-----
The slack over ||T||^2 may not fall below minus 1e-12. Every clustering costs at least kappa*_K, so
the best found by k-means is held against the floor.

Experiment
----------
The rows of T* turned at random into 6 columns with noise, for K from 2 to 6.
"""

import numpy as np

from lsq_sketch import kmeans

from ..claim import Bound, Kind, Section
from ..experiments import EVERY, sample_table
from ..instances import Instance

KIND = Kind.DETERMINISTIC
SECTION = Section.QUANTISATION

STATEMENT = r"""
$\kappa^*_K(T)$ is at least the sum of the squared singular values of the centred $T$ beyond the
$(K-1)$-th.
"""


def bounds(instance: Instance) -> dict[str, Bound]:
    """Working precision."""
    return {EVERY: Bound(1e-12)}


def trial(instance: Instance, rng: np.random.Generator) -> list[tuple[str, float]]:
    """Relative slack."""
    base = sample_table(instance, rng)
    table = base @ rng.standard_normal((base.shape[1], 6))
    table += rng.uniform(0, 1) * np.abs(base).mean() * rng.standard_normal(table.shape)
    n_clusters = min(int(rng.integers(2, 7)), len(table))
    sigma = np.linalg.svd(table - table.mean(axis=0), compute_uv=False)
    floor = float((sigma[n_clusters - 1 :] ** 2).sum())
    size = float((table**2).sum()) or 1.0
    return [(EVERY, (kmeans(table, n_clusters, rng).cost - floor) / size)]
