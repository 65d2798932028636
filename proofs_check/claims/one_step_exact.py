"""With as many noise columns as the rank, one step of Dense CCE is exact.

Statement
---------
Gaussian or whitened noise with m >= r gives e_1 = 0 almost surely.

Hypotheses
----------
m >= r. To see it in double precision the condition number of X must stay below 1e4.

Source
------
This toolkit (immediate).

Proof idea
----------
The image X G of m >= r columns spans the whole range of X almost surely.

Bound
-----
e_1 / e_0 may not exceed 1e-6. Square Gaussian noise has a condition number above t r with a
probability of about 2/t; times that of X and the rounding error it enters squared. With a column
less, e_1 / e_0 would be of the order of 1/r.

Experiment
----------
One step with m = r, Gaussian and whitened.
"""

import numpy as np

from lsq_sketch import dense_cce

from ..claim import Bound, Kind, Section, TooCostlyError
from ..experiments import EVERY, initial_excess, require
from ..instances import Instance
from ..profile import Profile

KIND = Kind.DETERMINISTIC
SECTION = Section.DENSE_CCE

STATEMENT = r"""
Gaussian or whitened noise with $m \ge r$ gives
$$e_1 = 0 \quad\text{almost surely.}$$
"""
HYPOTHESES = r"""
$m \ge r$. To see it in double precision the condition number of $X$ must stay below $10^4$.
"""


def check_trial_cost(instance: Instance, profile: Profile) -> None:
    """Leave large dense noise to a larger profile."""
    rank = instance.problem.rank
    if rank > profile.square_rank:
        raise TooCostlyError(
            f"needs a dense {rank} x {rank} matrix of noise, the {profile.name} profile goes up to "
            f"{profile.square_rank}"
        )


def bounds(instance: Instance) -> dict[str, Bound]:
    """Working precision."""
    problem = instance.problem
    require(initial_excess(problem) > 0, "the optimum must differ from the zero table")
    condition = 1 / np.sqrt(problem.rho * problem.rank)  # at least sigma_1 / (sigma_r sqrt(r))
    require(bool(condition < 1e4), "the condition number of X must stay below 1e4")
    return {EVERY: Bound(1e-6)}


def trial(instance: Instance, rng: np.random.Generator) -> list[tuple[str, float]]:
    """``-e_1 / e_0`` for both kinds of noise."""
    problem = instance.problem
    found = []
    for noise in ("gaussian", "whitened"):
        excess = dense_cce(problem, problem.rank + problem.d2, 1, noise, rng).excess
        found.append((EVERY, -float(excess[1] / excess[0])))
    return found
