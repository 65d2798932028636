"""False: whitened-law without the - d2 in later steps.

Statement
---------
(Wrong.) E[e_i | T_{i-1}] = (1 - m/r) e_{i-1} in every step, so E e_i = (1 - m/r)^i e_0.

Hypotheses
----------
Those of whitened-law. They do not suffice.

Source
------
False statement 2.

Proof idea
----------
From the second step on the residual is orthogonal to the range of X T_{i-1}, so the fresh columns
meet it in r - d2 dimensions, not r: it contracts faster.

Bound
-----
1 - m/r in later steps; an equality.

Experiment
----------
That of whitened-law.
"""

from ..claim import Bound, Kind, Section
from ..experiments import FIRST, LATER
from ..instances import Instance
from . import whitened_law

KIND = Kind.EQUALITY
SECTION = Section.DENSE_CCE
TWIN = "whitened-law"
KILLED_BY = "few-columns"

STATEMENT = r"""
$$\mathbb{E}\left[e_i \mid T_{i-1}\right] = \left(1 - \frac{m}{r}\right) e_{i-1}$$
in every step, so
$$\mathbb{E}\, e_i = \left(1 - \frac{m}{r}\right)^{i} e_0.$$
"""

trial = whitened_law.trial


def bounds(instance: Instance) -> dict[str, Bound]:
    """``1 - m/r`` in later steps; in the first step it is true."""
    return {LATER: whitened_law.bounds(instance)[FIRST]}
