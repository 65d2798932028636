"""Alternating CCE never raises the loss.

Statement
---------
Neither step of alternating CCE (move an ID, solve the codebook) raises the loss, for any X; so it
comes to rest after finitely many assignments.

Hypotheses
----------
None.

Source
------
This toolkit.

Proof idea
----------
A move is made only if 2 <D, g_j> + w_j |D|^2 < 0, which is exactly the change of the loss; the
codebook before the solve is among those minimised over.

Bound
-----
The slack (L_{i-1} - L_i) / L_0 may not fall below minus 1e-12.

Experiment
----------
Eight rounds from random and from D^2-seeded assignments.
"""

import numpy as np

from lsq_sketch import alternating_cce

from ..claim import Bound, Kind, Section
from ..experiments import EVERY, require
from ..instances import Instance

KIND = Kind.DETERMINISTIC
SECTION = Section.ALTERNATING_CCE

STATEMENT = r"""
Neither step of alternating CCE (move an ID, solve the codebook) raises the loss, for any $X$;
so it comes to rest after finitely many assignments.
"""

ROUNDS = 8


def bounds(instance: Instance) -> dict[str, Bound]:
    """Working precision."""
    require(bool((instance.problem.Y != 0).any()), "the targets must not be zero")
    return {EVERY: Bound(1e-12)}


def trial(instance: Instance, rng: np.random.Generator) -> list[tuple[str, float]]:
    """Relative decrease in each round."""
    problem, found = instance.problem, []
    n_clusters = min(instance.width, problem.d1)
    for init in ("hash", "kmeans++"):
        loss = alternating_cce(problem, n_clusters, ROUNDS, rng, init=init).loss
        found += [(EVERY, float(drop)) for drop in -np.diff(loss) / loss[0]]
    return found
