"""A count sketch on the rows embeds a subspace.

Statement
---------
U (n x d) with orthonormal columns, S an m x n count sketch: P(||U'S'SU - I||_2 > eps) <=
(d^2 + d) / (m eps^2).

Hypotheses
----------
Buckets and signs independent and uniform.

Source
------
Clarkson and Woodruff 2013; Nelson and Nguyen, "OSNAP", 2013.

Proof idea
----------
Markov's inequality on row-sketch-moment.

Bound
-----
(d^2 + d) / (m eps^2) on the frequency of failures.

Experiment
----------
d = 2 (or the rank, if that is 1): the first columns of an orthonormal basis of X G for Gaussian G;
eps = 1/2 and m = 48, where the bound is 1/2.
"""

import numpy as np

from lsq_sketch import CountSketch

from ..claim import Bound, Kind, Section
from ..experiments import EVERY, require
from ..instances import Instance

KIND = Kind.UPPER_BOUND
SECTION = Section.SKETCHES

STATEMENT = r"""
For $U$ ($n \times d$) with orthonormal columns and $S$ an $m \times n$ count sketch,
$$\mathbb{P}\left(\lVert U^\top S^\top S U - I\rVert_2 > \varepsilon\right) \le
\frac{d^2 + d}{m\, \varepsilon^2}.$$
"""

DIMENSION, EPS, WIDTH = 2, 0.5, 48


def bounds(instance: Instance) -> dict[str, Bound]:
    """``(d^2 + d) / (m eps^2)``."""
    problem = instance.problem
    require(problem.n >= DIMENSION, "there must be at least d rows")
    require(instance.rank_limit >= DIMENSION, f"X must have rank at least {DIMENSION}")
    return {EVERY: Bound((DIMENSION**2 + DIMENSION) / (WIDTH * EPS**2))}


def trial(instance: Instance, rng: np.random.Generator) -> list[tuple[str, float]]:
    """1 if the embedding failed, 0 if not."""
    problem = instance.problem
    U = np.linalg.qr(problem.X @ rng.standard_normal((problem.d1, DIMENSION)))[0]
    SU = CountSketch(problem.n, WIDTH, rng).gather(U)
    distortion = np.linalg.norm(SU.T @ SU - np.eye(DIMENSION), 2)
    return [(EVERY, float(distortion > EPS))]
