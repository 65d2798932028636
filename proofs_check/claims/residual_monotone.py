"""Residual quantisation never gets worse with more stages.

Statement
---------
The squared error of residual quantisation does not rise from stage to stage.

Hypotheses
----------
None.

Source
------
Classic: Chen, Guan and Wang 2010.

Proof idea
----------
The means of a stage's clusters are at least as close to the residuals as zero is.

Bound
-----
The relative slack may not fall below minus 1e-12.

Experiment
----------
Five stages on the rows of T*.
"""

import numpy as np

from lsq_sketch.quantize import residual_quantization

from ..claim import Bound, Kind, Section
from ..experiments import EVERY, sample_table
from ..instances import Instance

KIND = Kind.DETERMINISTIC
SECTION = Section.QUANTISATION

STATEMENT = r"""
The squared error of residual quantisation does not rise from stage to stage.
"""

STAGES = 5


def bounds(instance: Instance) -> dict[str, Bound]:
    """Working precision."""
    return {EVERY: Bound(1e-12)}


def trial(instance: Instance, rng: np.random.Generator) -> list[tuple[str, float]]:
    """Relative decrease in each stage."""
    table = sample_table(instance, rng)
    n_clusters = min(int(rng.integers(2, 9)), len(table))
    costs = residual_quantization(table, n_clusters, STAGES, rng).costs
    size = float((table**2).sum()) or 1.0
    before = np.concatenate([[size], costs[:-1]])
    return [(EVERY, float(drop)) for drop in (before - costs) / size]
