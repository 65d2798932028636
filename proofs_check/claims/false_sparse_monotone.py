"""False: Sparse CCE is monotone.

Statement
---------
(Wrong.) e_i <= e_{i-1} for every round of Sparse CCE.

Hypotheses
----------
k even.

Source
------
False statement 5. True of Dense CCE (dense-monotone).

Proof idea
----------
T_{i-1} itself is not among the tables H_i M, only its clustered version is: once the excess is of
the size of the quantisation error, a new sketch may do worse than the last.

Bound
-----
That of dense-monotone: a slack of minus 1e-12.

Experiment
----------
Trajectories of sixteen rounds with k = 2m.
"""

from itertools import pairwise

import numpy as np

from lsq_sketch import sparse_cce

from ..claim import Kind, Section
from ..experiments import EVERY, FLOOR
from ..instances import Instance
from . import dense_monotone

KIND = Kind.DETERMINISTIC
SECTION = Section.DENSE_CCE
TWIN = "dense-monotone"
KILLED_BY = "zipf-one-hot"

STATEMENT = r"""
$$e_i \le e_{i-1}$$
for every round of Sparse CCE.
"""
HYPOTHESES = r"$k$ even."

ROUNDS = 16

bounds = dense_monotone.bounds


def trial(instance: Instance, rng: np.random.Generator) -> list[tuple[str, float]]:
    """Relative decrease in each round."""
    e = sparse_cce(instance.problem, 2 * instance.width, ROUNDS, rng).excess
    return [(EVERY, float(1 - b / a)) for a, b in pairwise(e) if a > FLOOR * e[0]]
