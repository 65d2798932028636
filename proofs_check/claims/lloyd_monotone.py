"""Lloyd's algorithm never raises the k-means cost.

Statement
---------
The k-means cost after a round of Lloyd's algorithm is at most that before.

Hypotheses
----------
None.

Source
------
Classic: Lloyd, "Least squares quantization in PCM", 1982.

Proof idea
----------
Each point moves to its nearest centroid; the mean minimises the squared distances of its cluster.

Bound
-----
The slack over ||T||^2 may not fall below minus 1e-12.

Experiment
----------
The rows of T*, from random rows as centroids, round by round.
"""

import numpy as np

from lsq_sketch import lloyd

from ..claim import Bound, Kind, Section
from ..experiments import EVERY, sample_table
from ..instances import Instance

KIND = Kind.DETERMINISTIC
SECTION = Section.QUANTISATION

STATEMENT = r"""
The k-means cost after a round of Lloyd's algorithm is at most that before.
"""

ROUNDS = 6


def bounds(instance: Instance) -> dict[str, Bound]:
    """Working precision."""
    return {EVERY: Bound(1e-12)}


def trial(instance: Instance, rng: np.random.Generator) -> list[tuple[str, float]]:
    """Relative decrease in each round."""
    table = sample_table(instance, rng)
    seeds = rng.choice(len(table), min(instance.width, len(table)), replace=False)
    costs = [lloyd(table, table[seeds], max_iter=i).cost for i in range(ROUNDS)]
    size = float((table**2).sum()) or 1.0
    return [(EVERY, float(drop)) for drop in -np.diff(costs) / size]
