"""False: kmeanspp with the constant 1 in place of 8 (ln K + 2).

Statement
---------
(Wrong.) The expected cost of the seeds drawn by D^2 sampling is at most kappa*_K.

Hypotheses
----------
Those of kmeanspp. They do not suffice.

Source
------
False statement 7.

Proof idea
----------
Seeds are points, not means: their cost exceeds the optimum almost always.

Bound
-----
kappa*_K, scaled as in kmeanspp.

Experiment
----------
That of kmeanspp.

Exact evidence: that of kmeanspp, as rationals.
"""

from fractions import Fraction

from ..claim import Bound, Kind, Section
from ..exact.comparison import Comparison
from ..exact.effort import Effort
from ..experiments import EVERY
from ..instances import Instance
from . import kmeanspp

KIND = Kind.UPPER_BOUND
SECTION = Section.QUANTISATION
TWIN = "kmeanspp"
KILLED_BY = "flat"

STATEMENT = r"""
The expected cost of the seeds drawn by $D^2$ sampling is at most $\kappa^*_K$.
"""

trial = kmeanspp.trial


def bounds(instance: Instance) -> dict[str, Bound]:
    """``kappa*_K``, scaled."""
    return {EVERY: Bound(kmeanspp.scaled_optimum(instance))}


def exact(instance: Instance, effort: Effort) -> list[Comparison]:
    """The expected cost of the seeds over ``kappa*_K``."""
    return [kmeanspp.compare_exactly(instance, effort, Fraction(1))]
