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

Exact evidence: the share of all sketches that fail, for the U of row-sketch-moment (6 rows), 3
buckets, eps = 3/2 and 2; in rational arithmetic.
"""

from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from lsq_sketch import CountSketch

from ..claim import Bound, Kind, Section
from ..enumeration import sketch_count
from ..exact.comparison import Comparison
from ..exact.effort import Effort
from ..exact.expectation import Exactly
from ..exact.rational import expected_entries
from ..exact.small import stage_name
from ..experiments import EVERY, require
from ..instances import Instance
from .row_sketch_moment import error, rational_isometry

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


SMALL_EPS = (Fraction(3, 2), Fraction(2))


def exact(instance: Instance, effort: Effort) -> list[Comparison]:
    """The share of sketches that fail, for the first columns of a rational reflection."""
    small = effort.small_problem(instance)
    n, m = small.d1, effort.width(instance, small.d1)
    W, size = rational_isometry(small, effort.rng)
    d = W.shape[1]

    def failures(h: Sequence[int], s: Sequence[int]) -> list[list[int]]:
        off = error(W, size, m, h, s)
        return [[int(not _norm_at_most(off, eps * size**2)) for eps in SMALL_EPS]]

    found, count = [], sketch_count(n, m)
    probabilities = expected_entries(n, m, failures)[0]
    for eps, probability in zip(SMALL_EPS, probabilities, strict=True):
        bound = Fraction(d**2 + d) / (m * eps**2)
        stage = stage_name(f"eps = {eps}", small)
        found.append(effort.settle([Exactly(stage, KIND, probability, bound, count, m)]))
    return found


def _norm_at_most(symmetric: list[list[int]], radius: Fraction) -> bool:
    """Whether a symmetric matrix of one or two rows has spectral norm at most ``radius``."""
    if len(symmetric) == 1:
        return abs(symmetric[0][0]) <= radius
    (a, b), (_, c) = symmetric
    return all(
        2 * radius + sign * (a + c) >= 0 and (radius + sign * a) * (radius + sign * c) >= b * b
        for sign in (1, -1)
    )
