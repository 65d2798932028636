"""The second moment of a count sketch.

Statement
---------
For symmetric S: E[CC' S CC'] = (1 + 1/m) S + (tr(S) I - 2 diag(S)) / m.

Hypotheses
----------
Buckets and signs independent and uniform.

Source
------
Classic; the form with the diagonal term is derived here.

Proof idea
----------
(CC'SCC')_il = sum_jk s_i s_j s_k s_l [h_i = h_j] [h_k = h_l] S_jk. The signs leave the terms where
the four indices pair off.

Bound
-----
Exact to rounding, 1e-13, over all sketches of 4 rows and 1 to 3 buckets.

Experiment
----------
S = X'X for 4 random columns of the instance's X.

Exact evidence: at most 6 columns and 3 buckets, in rational arithmetic.
"""

from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from ..claim import Bound, Kind, Section
from ..enumeration import expected_second_moment
from ..exact.comparison import Comparison
from ..exact.effort import Effort
from ..exact.identity import Identity
from ..exact.rational import Matrix, expected_entries
from ..experiments import EVERY, random_factor
from ..instances import Instance

KIND = Kind.DETERMINISTIC
SECTION = Section.SKETCHES

STATEMENT = r"""
For symmetric $S$,
$$\mathbb{E}\left[CC^\top S\, CC^\top\right] = \left(1 + \frac{1}{m}\right) S
+ \frac{\operatorname{tr}(S)\, I - 2\operatorname{diag}(S)}{m}.$$
"""

D1 = 4


def second_moment(S: np.ndarray, m: int) -> np.ndarray:
    """``(1 + 1/m) S + (tr(S) I - 2 diag(S)) / m``."""
    diagonal = np.diag(np.diag(S))
    return (1 + 1 / m) * S + (np.trace(S) * np.eye(len(S)) - 2 * diagonal) / m


def bounds(instance: Instance) -> dict[str, Bound]:
    """Working precision."""
    return {EVERY: Bound(1e-13)}


def trial(instance: Instance, rng: np.random.Generator) -> list[tuple[str, float]]:
    """Minus the largest relative difference of the two sides."""
    X = random_factor(instance, D1, rng)
    S, m = X.T @ X, int(rng.integers(1, 4))
    expected = second_moment(S, m)
    difference = np.abs(expected_second_moment(S, m) - expected).max()
    return [(EVERY, -float(difference / np.abs(expected).max()))]


def exact(instance: Instance, effort: Effort) -> list[Comparison]:
    """Both sides for ``S = X'X`` of a few columns."""
    return [compare_exactly(instance, effort, 2)]


def compare_exactly(instance: Instance, effort: Effort, diagonals: int) -> Comparison:
    """The two sides, with ``diag(S)`` subtracted so many times on the right."""
    small = effort.small_problem(instance)
    m = effort.width(instance, small.d1)

    def in_floating_point() -> tuple[np.ndarray, np.ndarray]:
        R, _ = small.factors
        S = R.T @ R
        missing = (2 - diagonals) * np.diag(np.diag(S)) / m
        return expected_second_moment(S, m), second_moment(S, m) + missing

    def in_rationals() -> tuple[np.ndarray, np.ndarray]:
        S = np.array(small.gram, dtype=object)
        identity = np.eye(small.d1, dtype=int).astype(object)
        extra = S + np.trace(S) * identity - diagonals * identity * S
        return expected_moment(small.gram, m), S + extra * Fraction(1, m)

    return effort.settle([Identity(EVERY, small, m, in_floating_point, in_rationals)])


def expected_moment(S: Matrix, m: int) -> np.ndarray:
    """``E[CC' S CC']`` of an integer matrix, in rationals."""
    rows = range(len(S))

    def moment(h: Sequence[int], s: Sequence[int]) -> Matrix:
        sketched = [[0] * m for _ in range(m)]
        for j in rows:
            for k in rows:
                sketched[h[j]][h[k]] += s[j] * s[k] * S[j][k]
        return [[s[i] * s[j] * sketched[h[i]][h[j]] for j in rows] for i in rows]

    return expected_entries(len(S), m, moment)
