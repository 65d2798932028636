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
"""

import numpy as np

from ..claim import Bound, Kind, Section
from ..enumeration import all_sketches
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


def enumerated(S: np.ndarray, m: int) -> np.ndarray:
    """``E[CC' S CC']`` over all sketches."""
    C = all_sketches(len(S), m)
    P = C @ C.transpose(0, 2, 1)
    return (P @ S @ P).mean(axis=0)


def bounds(instance: Instance) -> dict[str, Bound]:
    """Working precision."""
    return {EVERY: Bound(1e-13)}


def trial(instance: Instance, rng: np.random.Generator) -> list[tuple[str, float]]:
    """Minus the largest relative difference of the two sides."""
    X = random_factor(instance, D1, rng)
    S, m = X.T @ X, int(rng.integers(1, 4))
    expected = second_moment(S, m)
    return [(EVERY, -float(np.abs(enumerated(S, m) - expected).max() / np.abs(expected).max()))]
