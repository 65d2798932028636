"""False: count-sketch-second-moment without the - 2 diag(S) term.

Statement
---------
(Wrong.) E[CC' S CC'] = (1 + 1/m) S + tr(S) I / m.

Hypotheses
----------
Those of count-sketch-second-moment. They do not suffice.

Source
------
False statement 3.

Proof idea
----------
On the diagonal the pairings coincide and would be counted twice: for d1 = 1, CC'SCC' = S.

Bound
-----
That of count-sketch-second-moment.

Experiment
----------
That of count-sketch-second-moment.
"""

import numpy as np

from ..claim import Kind, Section
from ..enumeration import expected_second_moment
from ..exact.comparison import Comparison
from ..exact.effort import Effort
from ..experiments import EVERY, random_factor
from ..instances import Instance
from . import count_sketch_second_moment
from .count_sketch_second_moment import D1, compare_exactly, second_moment

KIND = Kind.DETERMINISTIC
SECTION = Section.SKETCHES
TWIN = "count-sketch-second-moment"
KILLED_BY = "flat"

STATEMENT = r"""
$$\mathbb{E}\left[CC^\top S\, CC^\top\right] = \left(1 + \frac{1}{m}\right) S
+ \frac{\operatorname{tr}(S)\, I}{m}.$$
"""

bounds = count_sketch_second_moment.bounds


def trial(instance: Instance, rng: np.random.Generator) -> list[tuple[str, float]]:
    """Minus the largest relative difference of the two sides."""
    X = random_factor(instance, D1, rng)
    S, m = X.T @ X, int(rng.integers(1, 4))
    wrong = second_moment(S, m) + 2 * np.diag(np.diag(S)) / m
    difference = np.abs(expected_second_moment(S, m) - wrong).max()
    return [(EVERY, -float(difference / np.abs(wrong).max()))]


def exact(instance: Instance, effort: Effort) -> list[Comparison]:
    """Both sides for ``S = X'X`` of a few columns."""
    return [compare_exactly(instance, effort, 0)]
