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
"""

from ..claim import Bound, Kind, Section
from ..experiments import EVERY, require_noise_columns
from ..instances import Instance
from . import dense_rate

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
