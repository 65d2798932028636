"""False: dense-rate with 1/d1 in place of rho.

Statement
---------
(Wrong.) E[e_i | T_{i-1}] <= (1 - 1/d1)^m e_{i-1} with plain Gaussian noise.

Hypotheses
----------
Those of dense-rate. They do not suffice.

Source
------
False statement 1. The rate 1/d1 belongs to whitened noise (whitened-rate).

Proof idea
----------
Refuted where the target lies on a small singular direction, which Gaussian noise hardly reaches.

Bound
-----
(1 - 1/d1)^m.

Experiment
----------
That of dense-rate.

Exact evidence: E e_1 of a single column from T_0 = 0 in a ball, against 1 - 1/d1.
"""

from fractions import Fraction

from ..claim import Bound, Kind, Section
from ..exact.comparison import Comparison
from ..exact.effort import Effort
from ..exact.spectrum import energies_of, one_column
from ..experiments import EVERY, require_noise_columns
from ..instances import Instance
from . import dense_rate
from .dense_first_column_exact import singular_coordinates

KIND = Kind.UPPER_BOUND
SECTION = Section.DENSE_CCE
TWIN = "dense-rate"
KILLED_BY = "geometric-1000-adversarial"

STATEMENT = r"""
$$\mathbb{E}\left[e_i \mid T_{i-1}\right] \le \left(1 - \frac{1}{d_1}\right)^{m} e_{i-1}$$
with plain Gaussian noise.
"""

trial = dense_rate.trial


def bounds(instance: Instance) -> dict[str, Bound]:
    """``(1 - 1/d1)^m``."""
    require_noise_columns(instance)
    return {EVERY: Bound((1 - 1 / instance.problem.d1) ** instance.width)}


def exact(instance: Instance, effort: Effort) -> list[Comparison]:
    """One column from ``T_0 = 0`` against ``1 - 1/d1``."""
    require_noise_columns(instance)
    problem = instance.problem
    spectrum, energies = energies_of(singular_coordinates, problem, effort)
    bound = 1 - Fraction(1, problem.d1)
    return [one_column("one column, T_0 = 0", spectrum, energies, bound, effort)]
